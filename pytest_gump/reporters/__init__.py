"""Output about runs: terminal, JUnit XML and CI services."""
