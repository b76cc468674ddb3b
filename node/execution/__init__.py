"""Execution: the Protocol the node speaks, and the adapter to the native engine."""
