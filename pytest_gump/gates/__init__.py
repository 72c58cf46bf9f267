"""Gates: checks of an agent's worktree that pass or fail."""
