"""Rules about what an attempt may do, and findings about what it did."""
