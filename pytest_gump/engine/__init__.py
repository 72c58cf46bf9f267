"""Runs: their attempts, schedule, records and reports, independent of pytest."""
