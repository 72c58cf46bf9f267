"""What happens to runs that have ended: apply, discard and removal."""
