"""How large a message or queue of consensus may get, and why.

Part of the protocol: all nodes must agree on what a payload may hold. Not configurable.
"""

from __future__ import annotations

MAX_EVIDENCE = 8
"""Pieces of evidence in a block: each costs two signature checks and a block must stay cheap."""

MAX_PAYLOAD_VOTES = 8_192
"""Votes in a payload: 256 validators over 32 epochs, the most that a healed partition brings at once."""

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""Bytes of a payload's RLP: every vote with a signature and, at worst, data of its own."""

MAX_BLOCK_BYTES = 4 * 1024 * 1024
"""Bytes of an EVM block's RLP."""

MAX_ENVELOPE_BYTES = MAX_BLOCK_BYTES + MAX_PAYLOAD_BYTES + 1_024
"""Bytes of an envelope's CBOR."""

BLOB_WINDOW_SLOTS = 128
"""A block of the last so many slots is imported only with its blobs; an older one without: nobody has to have them.

As long as finality may fail before the leak steps in (64 epochs of two slots): until then every honest node that
knows a block has had its blobs."""

MAX_VOTES_IN_MESSAGE = 64
"""Votes in one gossip message: those of one process and slot."""

MAX_WITHDRAWALS = 16
"""Withdrawals in a block (MAX_WITHDRAWALS_PER_PAYLOAD of Ethereum's consensus)."""

MAX_PENDING_DEPOSITS = 1_024
"""Deposits that wait for finality; with the queue full, a further one is not taken in."""
