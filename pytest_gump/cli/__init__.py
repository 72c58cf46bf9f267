"""The `gump` command."""
