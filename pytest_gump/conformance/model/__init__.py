"""A scripted model server on loopback, with the APIs that the CLIs use."""
