"""Tests of sequencer.gossiping."""
