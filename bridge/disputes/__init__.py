"""Games over false claims: which are false, what proves it, and when that is sent."""
