"""Contracts of the network: sources, compiled artifacts and typed bindings."""
