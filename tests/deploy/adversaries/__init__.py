"""Adversaries, against chains that answer from a script."""
