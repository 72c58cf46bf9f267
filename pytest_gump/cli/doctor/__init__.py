"""`gump doctor`: whether a workflow can run here."""
