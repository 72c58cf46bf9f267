"""The tools of a project, run by gates so that no file of the worktree can replace them."""
