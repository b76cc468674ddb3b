"""Transactions of a role on L1."""
