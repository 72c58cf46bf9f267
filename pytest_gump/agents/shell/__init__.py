"""What an agent may run, and the rules of each CLI for it."""
