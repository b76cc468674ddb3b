"""L1 as an L2 node reads it."""
