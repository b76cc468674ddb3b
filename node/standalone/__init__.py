"""A chain of others, taken from a file and served: no consensus, no peers."""
