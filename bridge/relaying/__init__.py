"""Proves and finalizes withdrawals of those who ask."""
