"""Read a plain-text log of working hours."""
