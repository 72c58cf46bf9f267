"""Jobs of the command line: specs, workflows, agents and settings, checked before anything starts."""
