"""The transaction pool."""
