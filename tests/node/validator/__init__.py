"""Duties, signer and service of a validator."""
