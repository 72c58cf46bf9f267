"""Gates: pass or fail checks of what an agent left in its worktree."""
