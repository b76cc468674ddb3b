"""What a proposer's calls use, and that the gas of those that cannot be simulated is enough."""

from __future__ import annotations

from bridge.proposing.proposals import SPAN_GAS
from bridge.sending.sender import GAS_MARGIN, GAS_MAX
from node.contracts import disputes
from node.contracts.addresses import ROOT_REGISTRY
from node.contracts.alloc import DisputeTerms, dispute_allocations
from node.contracts.artifacts import load
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rollup.claims import CHUNK_ROOTS, CHUNKS_MAX, RootTree
from tests.kit.contract_network import FORCER, Network
from tests.kit.contract_world import Contract

TERMS = DisputeTerms(
    config_hash=Hash32(b"\xc0" * 32),
    anchor_root=Hash32(b"\xa0" * 32),
    window_blocks=6,
    quiet_blocks=3,
    air_gap_blocks=2,
    bond_wei=10**18,
)

ROOTS = tuple(keccak256(number.to_bytes(8)) for number in range(CHUNK_ROOTS * CHUNKS_MAX))


def gas_of(network: Network, data: bytes) -> int:
    """What a call of the Registry uses."""
    receipt = network.world.send(FORCER, ROOT_REGISTRY, data)
    assert receipt.succeeded
    return receipt.gas_used


def test_publishing_and_spanning_fit_into_transactions() -> None:
    network = Network.open(extra_accounts=dispute_allocations(TERMS))
    registry = Contract(load("RootRegistry"), ROOT_REGISTRY)
    assert 95_000 < gas_of(network, disputes.publish(ROOTS[:1])) < 110_000
    tree = RootTree(ROOTS)
    gas = [gas_of(network, disputes.publish(chunk.roots)) for chunk in tree.chunks]
    # With the sender's margin it is still far below what a transaction may use
    assert max(gas) * 5 // 4 + GAS_MARGIN < GAS_MAX
    trees, lasts = [one.tree for one in tree.chunks], [one.last for one in tree.chunks]
    span = gas_of(network, disputes.span(trees, lasts, len(ROOTS)))
    assert 1_400_000 < max(gas) < 1_470_000
    assert 500_000 < span < 530_000
    assert span * 3 // 2 < SPAN_GAS
    assert network.world.word(registry, "treeOf", tree.id) == tree.tree
