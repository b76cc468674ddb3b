"""A chain from Frontier to the merge, built by EELS; `python -m tests.vectors.forks` writes it."""
