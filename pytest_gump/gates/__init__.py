"""Pass or fail checks that judge what an agent left in the worktree."""
