"""One pytest session that runs workflows."""
