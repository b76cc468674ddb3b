"""The Inbox after a long silence: hashes that EIP-2935 has forgotten are proven by chains of headers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.eth.headers import decode_header
from tests.kit.contract_network import BATCHER, FORCER, WINDOW, Network
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.execution_chain import word

HISTORY_BLOCKS = 8_191
"""Blocks whose hashes EIP-2935 remembers."""

SILENCE_BLOCKS = 8_192
"""Blocks without a record."""

HEADERS_MAX = 128
"""Headers of one call."""


@pytest.fixture(scope="module")
def silent() -> Network:
    """No record for so long that the hash of block 0, the last origin, is forgotten."""
    network = Network.open()
    network.pass_blocks(SILENCE_BLOCKS)
    return network


def anchor(network: Network, newest: int, oldest: int) -> Receipt:
    """Proves hashes of the parents of blocks newest to oldest."""
    headers = [network.header(number) for number in range(newest, oldest - 1, -1)]
    return network.world.transact(FORCER, network.inbox, "anchorHeaders", newest, headers)


def oldest_known(network: Network) -> int:
    """The oldest block whose hash the history contract gives in the next block."""
    return network.height + 1 - HISTORY_BLOCKS


def test_history_is_read_to_its_last_block(silent: Network) -> None:
    """Given the head's environment, then the window ends exactly where EIP-2935 says."""
    world, oldest = silent.world, silent.height - HISTORY_BLOCKS
    for number in (oldest, oldest + 1, silent.height - 1):
        assert world.read(silent.inbox, "originHash", number) == silent.block_hash(number)
    for number in (oldest - 1, silent.height, silent.height + 1, 2**64 - 1):
        with pytest.raises(Reverted) as reverted:
            world.read(silent.inbox, "originHash", number)
        assert (reverted.value.name, reverted.value.values) == ("UnknownOrigin", (number,))


def test_silence_bricks_nothing() -> None:
    """Given 8,192 silent blocks, when anyone anchors headers, then forced records and batches go on."""
    network = Network.open()
    network.pass_blocks(SILENCE_BLOCKS)
    world, inbox = network.world, network.inbox
    with pytest.raises(Reverted, match=r"UnknownOrigin\(0,\)"):
        world.transact(FORCER, inbox, "forceEmpty", 256)
    with pytest.raises(Reverted, match=r"UnknownOrigin\(0,\)"):
        network.append(b"", first_block=1, block_count=256, origin=256)

    # A few headers more than are due, since the window moves with every block.
    anchor(network, oldest_known(network) + 20, 1)
    world.transact(FORCER, inbox, "forceEmpty", 256)
    network.append(b"", first_block=257, block_count=300, origin=512)

    assert world.read(inbox, "lastOrigin") == 512
    assert world.read(inbox, "nextBlock") == 557


def test_a_chain_of_headers_goes_on_from_an_anchored_one() -> None:
    """Given more forgotten blocks than one call proves, then calls follow one another."""
    network = Network.open()
    network.pass_blocks(HISTORY_BLOCKS + 200)
    newest = oldest_known(network)
    assert newest > HEADERS_MAX

    anchor(network, newest, newest - HEADERS_MAX + 1)
    anchor(network, newest - HEADERS_MAX, 1)

    for number in range(newest):
        anchored = network.world.read(network.inbox, "anchoredHash", number)
        assert anchored == network.block_hash(number)
    network.world.transact(FORCER, network.inbox, "forceEmpty", 200)


def test_too_many_headers_do_not_decode(silent: Network) -> None:
    headers = [silent.header(silent.height - at) for at in range(HEADERS_MAX + 1)]
    with pytest.raises(Reverted, match=r"^\(\)$"):
        silent.world.transact(FORCER, silent.inbox, "anchorHeaders", silent.height, headers)


def test_no_header_is_no_harm(silent: Network) -> None:
    silent.world.transact(FORCER, silent.inbox, "anchorHeaders", silent.height - 1, [])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_header_that_is_none_of_the_chain_is_refused(silent: Network, place: int) -> None:
    """Given one changed byte, a header left out or one twice, then the call says where the chain breaks."""
    newest = silent.height
    good = [silent.header(newest - at) for at in range(3)]
    flipped = [*good]
    flipped[place] = good[place][:-1] + bytes([good[place][-1] ^ 1])
    skipped = [header for at, header in enumerate(good) if at != place]
    doubled = [*good[: place + 1], *good[place:]]

    with pytest.raises(Reverted, match=rf"WrongHeader\({place},\)"):
        silent.world.transact(FORCER, silent.inbox, "anchorHeaders", newest, flipped)
    if place < 2:
        with pytest.raises(Reverted, match=rf"WrongHeader\({place},\)"):
            silent.world.transact(FORCER, silent.inbox, "anchorHeaders", newest, skipped)
    with pytest.raises(Reverted, match=rf"WrongHeader\({place + 1},\)"):
        silent.world.transact(FORCER, silent.inbox, "anchorHeaders", newest, doubled)


@pytest.mark.parametrize("header", [b"", b"\xf9", bytes(36), bytes(768)])
def test_bytes_that_are_no_header_are_refused(silent: Network, header: bytes) -> None:
    with pytest.raises(Reverted, match=r"WrongHeader\(0,\)"):
        silent.world.transact(FORCER, silent.inbox, "anchorHeaders", silent.height, [header])


def test_the_genesis_block_has_no_parent_to_prove() -> None:
    network = Network.open()
    network.pass_blocks(3)
    with pytest.raises(Reverted, match=r"WrongHeader\(1,\)"):
        anchor(network, 1, 0)
    anchor(network, 1, 1)
    assert network.world.read(network.inbox, "anchoredHash", 0) == network.block_hash(0)


def test_a_block_of_the_future_is_not_anchored(silent: Network) -> None:
    with pytest.raises(Reverted, match=rf"UnknownOrigin\({silent.height + 1},\)"):
        silent.world.transact(
            FORCER, silent.inbox, "anchorHeaders", silent.height + 1, [silent.header(silent.height)]
        )


def test_the_bound_holds_the_longest_header_of_the_chain(silent: Network) -> None:
    """Given every number of a header at its largest, then it is still accepted."""
    widest = 2**64 - 1
    header = decode_header(silent.header(silent.height))
    longest = replace(
        header,
        number=widest,
        gas_limit=widest,
        gas_used=widest,
        timestamp=widest,
        extra_data=bytes(32),
        base_fee_per_gas=2**256 - 1,
        blob_gas_used=widest,
        excess_blob_gas=widest,
    )
    assert len(longest.encode()) <= 768


def test_anchored_hashes_agree_with_history(silent: Network) -> None:
    """Given a block that both know, then the answer is one."""
    newest = silent.height
    silent.world.transact(FORCER, silent.inbox, "anchorHeaders", newest, [silent.header(newest)])
    assert silent.world.read(silent.inbox, "originHash", newest - 1) == silent.block_hash(
        newest - 1
    )
    assert silent.world.slot(silent.inbox.address, 5) == 0


def test_silence_may_end_with_a_batch_of_the_batcher(silent: Network) -> None:
    """Given recent origins only, then the batcher needs the last origin's hash and nothing older."""
    data = silent.inbox.input("append", b"", 1, 1, 0, word(0))
    (receipt,) = silent.world.mine([silent.world.signed(BATCHER, silent.inbox.address, data)])
    assert not receipt.succeeded
    anchor(silent, oldest_known(silent) + WINDOW, 1)
    silent.append(b"", first_block=1, block_count=1, origin=0)
