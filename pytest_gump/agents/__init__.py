"""Adapters for agent CLIs: they start the CLI and turn its output into events, tokens and cost."""
