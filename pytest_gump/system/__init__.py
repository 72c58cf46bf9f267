"""Operating system: files, folders, locks and the environment."""
