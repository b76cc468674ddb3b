"""Blobs that this node has: checked, kept for a bounded time, found by their versioned hashes."""
