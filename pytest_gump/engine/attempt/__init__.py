"""Execution of one attempt, from its order to its result."""
