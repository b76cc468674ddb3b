"""Seals L2 blocks."""
