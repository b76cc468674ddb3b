"""A bridge process put together."""
