"""Whole networks in one process: one seed, virtual time, the real node around an engine of choice."""
