"""The games of L1, read at one of its blocks."""
