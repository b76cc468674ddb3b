"""Tests of node.rpc.namespaces."""
