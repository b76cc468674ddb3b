"""Tests of a withdrawal's stages, and of what is read for them."""
