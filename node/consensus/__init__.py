"""PURE: the L1's proof-of-stake rules."""
