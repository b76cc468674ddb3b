"""Withdrawals and their proofs."""
