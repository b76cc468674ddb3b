"""A chain node: the L1, and everything an L1 and an L2 node share."""
