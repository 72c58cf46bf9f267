"""What a run is, independent of pytest."""
