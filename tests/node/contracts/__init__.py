"""Tests of the network's contracts, on the native engine."""
