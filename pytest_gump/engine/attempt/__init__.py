"""One attempt, from its order to its result."""
