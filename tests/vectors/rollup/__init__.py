"""Vectors of the L2's rules; `python -m tests.vectors.rollup` writes them."""
