"""Unsafe blocks and transactions between the sequencer and its replicas."""
