"""Independent implementations judge what ours produced."""
