"""Tests of node.blobs."""
