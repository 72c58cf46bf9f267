"""YAML workflows: the model, reading with exact places, lookup, templates."""
