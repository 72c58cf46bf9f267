"""Adapters for agent CLIs."""
