"""Ethereum's primitives."""
