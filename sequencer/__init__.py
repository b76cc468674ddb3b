"""The L2's sequencer."""
