"""Withdrawals: where each of them stands, and its proof."""
