"""Tests of deploy.testing."""
