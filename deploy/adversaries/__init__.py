"""People who wish the network ill, and what the network does about it."""
