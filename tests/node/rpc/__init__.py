"""Tests of node.rpc."""
