"""Resume an earlier run, and decide which of its results are reused."""
