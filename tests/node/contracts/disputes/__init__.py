"""The contracts in which claims about the L2 are disputed."""
