"""The one owner of the mutable chain."""
