"""The operating system: files, folders, locks and the environment."""
