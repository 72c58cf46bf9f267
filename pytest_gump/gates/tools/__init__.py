"""How gates run the tools of a project so that no file of the worktree can replace them."""
