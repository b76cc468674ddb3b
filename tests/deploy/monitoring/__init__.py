"""What watches a devnet."""
