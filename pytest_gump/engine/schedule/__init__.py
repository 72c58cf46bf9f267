"""Decide what may run next: a pure state machine over the tree of steps."""
