"""Transactions of a role on L1: said what is wanted, done once, whatever crashes and whatever L1 does."""
