"""Reads the output of agent CLIs: lines into records, records into events, and events into usage."""
