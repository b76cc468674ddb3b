"""Games over false claims."""
