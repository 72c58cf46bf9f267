"""Reads workflow files: YAML with positions, keys into a model, and rules that report mistakes."""
