"""Worktree slots: isolated folders in which agents and gates work."""
