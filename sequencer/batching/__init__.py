"""Posts batches to L1."""
