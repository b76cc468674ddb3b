"""PURE: Ethereum's primitives, RLP, headers, blocks and fees."""
