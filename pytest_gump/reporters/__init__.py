"""What people and other programs read about runs: terminal, JUnit XML and CI services."""
