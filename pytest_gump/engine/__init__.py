"""What a run is, without pytest: schedule, attempt, ledger, metrics."""
