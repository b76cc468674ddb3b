"""Output proposals."""
