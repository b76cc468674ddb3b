"""The L2's rules."""
