"""Proposing, voting, and the signer that never signs a slashable message."""
