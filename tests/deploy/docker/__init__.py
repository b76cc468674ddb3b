"""Devnets in containers, as far as they can be judged without an engine."""
