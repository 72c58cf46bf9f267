"""One run: creates orders and records results."""
