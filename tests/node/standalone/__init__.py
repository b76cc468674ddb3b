"""Chains of others from files."""
