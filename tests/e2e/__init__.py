"""Real processes, real wallet libraries, real kills."""
