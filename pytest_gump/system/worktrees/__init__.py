"""Worktree slots: the isolated folders in which agents and gates work."""
