"""Settings of a run: the table of options, their values and the files that set them."""
