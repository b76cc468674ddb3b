"""EIP-1186 proofs, verified by a walk of their own."""

from __future__ import annotations

import pytest

from node.eth import rlp
from node.eth.hashing import keccak256
from node.execution.answers import AccountProof
from tests.kit.execution_chain import (
    KEEPER,
    PAUPER,
    SENDER,
    ExecutionChain,
    address_of,
    sign,
    word,
)

EMPTY_ROOT = keccak256(b"\x80")


def proven(root: bytes, key: bytes, nodes: list[bytes]) -> bytes | None:
    """The value that these nodes prove for a key, None if they prove its absence."""
    path = keccak256(key).hex()
    if root == EMPTY_ROOT:
        assert nodes == []
        return None
    expected: rlp.Item = root
    left = list(nodes)
    while True:
        if isinstance(expected, list):
            node = expected
        elif expected == b"":
            break
        else:
            raw = left.pop(0)
            assert keccak256(raw) == expected, "a node that nobody names"
            node = rlp.as_list(rlp.decode(raw))
        if len(node) == 17:
            expected, path = node[int(path[0], 16)], path[1:]
            continue
        prefix = rlp.as_bytes(node[0]).hex()
        is_leaf, segment = prefix[0] in "23", prefix[1:] if prefix[0] in "13" else prefix[2:]
        if is_leaf:
            assert left == []
            return rlp.as_bytes(node[1]) if segment == path else None
        if not path.startswith(segment):
            break
        expected, path = node[1], path[len(segment) :]
    assert left == []
    return None


@pytest.fixture(scope="module")
def chain() -> ExecutionChain:
    chain = ExecutionChain.open()
    stores = [
        sign(SENDER, nonce=n, to=KEEPER, data=word(n * 7) + word(n + 1), gas=100_000)
        for n in range(40)
    ]
    chain.grow(stores)
    return chain


def prove(chain: ExecutionChain, address: bytes, slots: list[bytes]) -> AccountProof:
    return chain.engine.proof(chain.head.state_root, address, slots)


def test_an_account_and_its_slots_are_proven(chain: ExecutionChain) -> None:
    """Given a contract, when proven, then the nodes lead from the state root to account and slots."""
    # When
    proof = prove(chain, KEEPER, [word(n * 7) for n in range(40)])

    # Then
    value = proven(chain.head.state_root, KEEPER, proof.nodes)
    assert value is not None
    nonce, balance, storage_root, code_hash = rlp.as_list(rlp.decode(value))
    assert (nonce, balance) == (b"", b"")
    assert storage_root == proof.account.storage_root
    assert (
        code_hash
        == proof.account.code_hash
        == keccak256(chain.engine.code(chain.head.state_root, KEEPER))
    )
    for n, (stored, nodes) in enumerate(proof.slots):
        assert stored == word(n + 1)
        assert proven(proof.account.storage_root, word(n * 7), nodes) == rlp.encode(n + 1)


def test_absence_is_proven(chain: ExecutionChain) -> None:
    """Given an account and slots that are not there, when proven, then the nodes show it."""
    # When
    proof = prove(chain, address_of(PAUPER), [word(0)])
    slots = prove(chain, KEEPER, [word(n) for n in range(1, 7)]).slots

    # Then
    assert proven(chain.head.state_root, address_of(PAUPER), proof.nodes) is None
    assert (proof.account.nonce, proof.account.balance) == (0, 0)
    assert (proof.account.storage_root, proof.account.code_hash) == (EMPTY_ROOT, keccak256(b""))
    assert proof.slots == [(word(0), [])]
    storage_root = prove(chain, KEEPER, []).account.storage_root
    for slot, (stored, nodes) in enumerate(slots, start=1):
        assert stored == word(0)
        assert proven(storage_root, word(slot), nodes) is None
