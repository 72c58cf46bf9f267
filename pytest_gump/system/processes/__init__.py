"""Child processes: started by a supervisor, their output stored, and ended with all their descendants."""
