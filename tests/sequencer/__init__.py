"""The sequencer package, seen from its tests."""
