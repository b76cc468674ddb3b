"""Closes gaps: by range, by root, backfill."""
