"""Measurements with their targets; nothing here is asserted in the test suite."""
