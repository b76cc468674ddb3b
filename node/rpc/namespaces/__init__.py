"""The methods, one module for each kind."""
