"""Derives the L2 from L1."""
