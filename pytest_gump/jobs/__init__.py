"""What the command line asks for: specs, workflows, agents and settings, checked before anything starts."""
