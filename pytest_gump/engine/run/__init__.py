"""A run in progress: create orders and record results."""
