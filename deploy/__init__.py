"""Manifest, genesis, supervisor and command line."""
