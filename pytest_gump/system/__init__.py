"""The outside world: child processes and git."""
