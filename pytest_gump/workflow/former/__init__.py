"""Files of Gump 0.0.4, translated to the present form of the language."""
