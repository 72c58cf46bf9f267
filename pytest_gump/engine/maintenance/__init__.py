"""Commands on runs that have ended: apply, discard and gc."""
