"""PURE: the L2's rules."""
