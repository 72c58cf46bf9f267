"""The workflow language: model, lookup, templates and schema."""
