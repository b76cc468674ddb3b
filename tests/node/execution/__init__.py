"""The native engine behind its protocol."""
