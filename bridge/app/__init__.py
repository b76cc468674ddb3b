"""A bridge process put together: a replica, and the roles that its configuration names."""
