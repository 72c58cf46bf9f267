"""The figures of runs as plain data, for reports, JSON and dry runs."""
