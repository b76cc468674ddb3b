"""Building blocks of tests."""
