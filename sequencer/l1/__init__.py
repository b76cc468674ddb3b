"""L1 as an L2 node reads it: records, deposits and heads of its own full node."""
