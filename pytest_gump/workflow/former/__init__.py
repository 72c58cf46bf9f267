"""Files of Gump 0.0.4, translated to the current form of the language."""
