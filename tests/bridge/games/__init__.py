"""The games of L1."""
