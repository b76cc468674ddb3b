"""L1 turned into safe and finalized L2 heads."""
