"""Settles withdrawals for others."""
