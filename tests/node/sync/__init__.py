"""Tests of node.sync."""
