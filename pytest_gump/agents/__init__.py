"""Agent CLIs: how each is started and how what it prints becomes events, tokens and cost."""
