"""Continues an earlier run: decides which of its results are reused."""
