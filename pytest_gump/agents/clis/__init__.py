"""One adapter for each agent CLI: its command line, its stream and its conversations."""
