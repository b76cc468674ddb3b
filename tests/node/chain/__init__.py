"""Tests of node.chain."""
