"""The L1's proof-of-stake rules."""
