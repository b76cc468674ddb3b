"""Clock, supervised tasks, structured logs, metrics and health."""
