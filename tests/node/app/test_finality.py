"""Certificates made by a running chain convince who knows only the validators' keys."""

from __future__ import annotations

import trio

from node.app.finality import FinalityProofs, described
from node.chain.chain import Chain
from node.consensus.containers import Checkpoint
from node.consensus.finality_proof import (
    FinalityCertificate,
    decode_certificate,
    verify_certificate,
)
from node.eth.primitives import Address, Hash32
from tests.kit.chain_builder import ChainBuilder, verify_slowly
from tests.kit.chain_harness import Machine, make_network

OTHER = Address(b"\x0f" * 20)


def proven(builder: ChainBuilder, certificate: FinalityCertificate) -> tuple[Checkpoint, int]:
    """What somebody learns who trusts the genesis validators and has no chain."""
    finality = verify_certificate(
        builder.rules,
        certificate,
        public_keys=[key.public for key in builder.keys],
        trusted_weights=[(1 << len(builder.keys)) - 1],
        verify=verify_slowly,
    )
    return finality.checkpoint, finality.voters


async def prove(nursery: trio.Nursery, chain: Chain) -> FinalityProofs:
    proofs = FinalityProofs(chain)
    await nursery.start(proofs.run)
    return proofs


async def test_every_final_checkpoint_has_a_certificate_that_holds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    final: set[Hash32] = set()
    async with machine.running(40) as chain, trio.open_nursery() as nursery:
        proofs = await prove(nursery, chain)
        for block in builder.extend(builder.genesis_hash, range(4, 40)):
            await chain.import_envelope(block.envelope, origin="peer")
            final.add(chain.finalized.hash)
            await trio.testing.wait_all_tasks_blocked()
            checkpoint = chain.finalized_checkpoint
            certificate = proofs.certificate(chain.finalized.hash)
            if checkpoint.epoch:
                assert certificate is not None
                assert proven(builder, certificate) == (checkpoint, 0b1111)
        nursery.cancel_scope.cancel()

        assert len(final) > 10
        kept = [one for one in final if proofs.certificate(one) is not None]
        assert len(kept) == len(final) - 1, "all but genesis"
        answer = await proofs.describe(chain.finalized.hash)
        assert isinstance(answer, dict)
        encoded = bytes.fromhex(str(answer["certificate"])[2:])
        assert described(decode_certificate(encoded)) == answer
        assert await proofs.describe(chain.head.hash) is None


async def test_both_sides_of_a_safety_fault_are_proven_and_name_who_lied(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    base = builder.extend(builder.genesis_hash, range(4, 12))
    left = builder.extend(base[-1].hash, range(12, 40), voters=[0, 1, 2])
    right = [builder.build(base[-1].hash, 13, fee_recipient=OTHER)]
    right += builder.extend(right[0].hash, range(14, 41), voters=[1, 2, 3])
    async with machine.running(41) as chain, trio.open_nursery() as nursery:
        proofs = await prove(nursery, chain)
        for block in [*base, *left]:
            await chain.import_envelope(block.envelope, origin="peer")
        ours = chain.finalized_checkpoint
        for block in right:
            if chain.conflict is None:
                await chain.import_envelope(block.envelope, origin="peer")
        await trio.testing.wait_all_tasks_blocked()
        conflict = chain.conflict
        assert conflict is not None
        assert chain.finalized_checkpoint == ours
        nursery.cancel_scope.cancel()

    await convict(builder, conflict.first, conflict.second, proofs)
    async with machine.running(42) as chain, trio.open_nursery() as nursery:
        assert chain.conflict == conflict
        again = await prove(nursery, chain)
        await convict(builder, conflict.first, conflict.second, again)
        nursery.cancel_scope.cancel()


async def convict(
    builder: ChainBuilder, first: Checkpoint, second: Checkpoint, proofs: FinalityProofs
) -> None:
    certificates = [proofs.certificate(one.block_hash) for one in (first, second)]
    found = [proven(builder, one) for one in certificates if one is not None]
    assert [checkpoint for checkpoint, _ in found] == [first, second]
    assert found[0][1] & found[1][1] == 0b0110, "who signed both is guilty"
