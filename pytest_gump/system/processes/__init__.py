"""Child processes: a supervisor starts them, stores their output, and ends them with all their descendants."""
