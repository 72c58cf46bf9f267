"""A model server on loopback that answers by a script, in the dialects of five CLIs."""
