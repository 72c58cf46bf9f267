"""Reads workflow files: parses YAML with positions, builds the model, and checks the rules of the language."""
