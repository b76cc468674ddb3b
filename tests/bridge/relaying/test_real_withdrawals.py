"""Withdrawals over real contracts, settled by a relayer: in order, once, after crashes, reorganisations and lost games."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bridge.disputes.opening import open_challenger
from bridge.relaying.planning import RELAYED_GAS_MAX
from node.contracts.addresses import ANCHOR_STATE_REGISTRY, PORTAL, SYSTEM_CONFIG
from node.contracts.disputes import blacklist
from node.contracts.withdrawals import pause, unpause
from node.errors import MissingState
from node.eth.primitives import Hash32
from tests.bridge.relaying.scene import PATIENCE_S, TARGET, Relay, Scene, scene
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_bridge import (
    CHALLENGERS,
    GUARDIAN,
    Claimant,
    lied,
    running_parts,
    true_roots,
)

ORDER = ("initiated", "provable", "proven", "in_challenge", "finalizable", "settled")


async def asked(relay: Relay, name: Hash32) -> Hash32:
    """Ask for a withdrawal by its transaction; gives its own hash."""
    assert await relay.view.settle(name) is None
    report = await relay.report(name)
    assert report.is_relayed
    return report.withdrawal_hash


async def settled(relay: Relay, name: Hash32) -> list[str]:
    """Go on until L1 has settled a withdrawal; gives its states in order."""
    seen: list[str] = []
    with trio.fail_after(PATIENCE_S):
        while not seen or seen[-1] != "settled":
            await relay.step()
            state = (await relay.report(name)).state
            seen += [state] if state not in seen[-1:] else []
    return seen


async def stepped(site: Scene, relay: Relay) -> BuiltBlock:
    """As `Relay.step`; gives the block."""
    await site.try_to_resolve(relay.parts)
    block = await site.mine()
    await relay.look()
    return block


async def test_a_relayer_settles_what_it_was_asked_for_and_nothing_else(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        # Given two withdrawals of which one was asked for
        first = await site.grow(site.withdrawal(5), site.withdrawal(7, user=3))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            report = await relay.report(name)
            assert (report.state, report.value, report.l2_status) == ("initiated", 5, "safe")
            assert [wait.need for wait in report.waits] == ["game"]
            await relay.look()
            # When a game covers them
            game = await site.game(relay.parts)
            await relay.look()
            report = await relay.report(name)
            assert report.state == "provable"
            assert report.game is not None
            assert (report.game.index, report.game.address) == (0, game.address)
            assert report.game.own_root == report.game.root_claim
            # Then it goes through every state, in order
            seen = await settled(relay, name)
            assert seen == sorted(seen, key=ORDER.index)
            assert {"in_challenge", "settled"} <= set(seen)
            report = await relay.report(name)
            assert report.settlement is not None
            assert report.settlement.succeeded
            assert report.waits == []
            # And two transactions paid for it
            assert site.balance(TARGET) == 5
            assert site.paid_for() == (2, 1, 1)
            assert await relay.view.settle(name) == "it is settled"
            told = await relay.view.game(0)
            assert told is not None
            assert (told.status, list(told.waits)) == ("defender_wins", [])
            assert await relay.view.game(1) is None


async def test_a_relayer_that_dies_after_every_block_pays_for_nothing_twice(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
        state = ""
        with trio.fail_after(2 * PATIENCE_S):
            while state != "settled":
                async with site.relaying() as relay:
                    assert (await relay.report(name)).is_relayed
                    await relay.look()
                # Dead: what it gave away lies in the pool, or L1 has it already
                async with site.relaying() as relay:
                    await relay.step()
                    state = (await relay.report(name)).state
        assert site.balance(TARGET) == 5
        assert site.paid_for() == (2, 1, 1)


async def test_a_proof_and_a_settlement_that_l1_drops_are_made_again_and_count_once(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            await relay.look()
            # Given a proof that L1 leaves behind
            block = await site.mine()
            assert (await relay.report(name)).state == "proven"
            await site.abandon(block)
            assert (await relay.report(name)).state == "provable"
            await relay.look()
            # And a settlement too
            with trio.fail_after(PATIENCE_S):
                while (await relay.report(name)).state != "settled":
                    block = await stepped(site, relay)
            await site.abandon(block)
            assert (await relay.report(name)).state == "finalizable"
            assert site.balance(TARGET) == 0
            # Then both are there once
            await relay.look()
            assert (await settled(relay, name))[-1] == "settled"
            assert site.balance(TARGET) == 5
            assert site.paid_for() == (2, 1, 1)


async def test_a_withdrawal_whose_game_is_lost_is_proven_against_another(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            # Given a game with a true last root and a false one before it
            roots = true_roots(site.l2, 1, site.l2.chain.safe.header.number)
            lost = await site.game(relay.parts, [lied(roots[0]), *roots[1:]])
            await relay.look()
            await relay.step(is_resolving=False)
            report = await relay.report(name)
            assert report.proof is not None
            assert report.proof.game_address == lost.address
            # When a challenger shows it
            async with (
                running_parts(site.l2, CHALLENGERS[1], site.folder) as parts,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(open_challenger(parts).run)
                with trio.fail_after(PATIENCE_S):
                    while (await relay.report(name)).proof is not None:
                        await trio.sleep(0.05)
                        await site.mine()
                nursery.cancel_scope.cancel()
            report = await relay.report(name)
            assert report.state == "initiated"
            assert [one.game_address for one in report.fallen] == [lost.address]
            # Then it is proven against a true one, and settles
            await relay.look()
            held = await site.game(relay.parts)
            await relay.look()
            assert (await settled(relay, name))[-1] == "settled"
            report = await relay.report(name)
            assert report.proof is not None
            assert report.proof.game_address == held.address
            assert site.balance(TARGET) == 5
            assert site.paid_for() == (3, 2, 1)


async def test_a_pause_holds_back_calls_and_takes_no_stage_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        guardian = Claimant(l1=site.l1, l2=site.l2, account=GUARDIAN)
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            # Given a pause before it is proven
            await guardian.send(SYSTEM_CONFIG, pause())
            await site.mine()
            report = await relay.report(name)
            assert (report.state, report.is_paused) == ("provable", True)
            assert [wait.need for wait in report.waits] == ["unpause"]
            await relay.step()
            assert site.paid_for() == (0, 0, 0)
            # And one after that
            await guardian.send(SYSTEM_CONFIG, unpause())
            await site.mine()
            await relay.look()
            await relay.step()
            assert (await relay.report(name)).proof is not None
            await guardian.send(SYSTEM_CONFIG, pause())
            with trio.fail_after(PATIENCE_S):
                while (await relay.report(name)).state != "finalizable":
                    await relay.step()
            report = await relay.report(name)
            assert ([wait.need for wait in report.waits], report.fallen) == (["unpause"], [])
            # Then it settles once the pause is lifted
            await guardian.send(SYSTEM_CONFIG, unpause())
            assert (await settled(relay, name))[-1] == "settled"
            assert site.paid_for() == (2, 1, 1)


async def test_a_withdrawal_whose_game_is_blacklisted_is_proven_against_another(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as site:
        guardian = Claimant(l1=site.l1, l2=site.l2, account=GUARDIAN)
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            banned = await site.game(relay.parts)
            await relay.look()
            await relay.step()
            await guardian.send(ANCHOR_STATE_REGISTRY, blacklist(banned.address))
            await site.mine()
            report = await relay.report(name)
            assert report.state == "initiated"
            assert [one.game_address for one in report.fallen] == [banned.address]
            await site.grow(*site.l2.transfers(3, 1))
            await site.game(relay.parts)
            await relay.look()
            assert (await settled(relay, name))[-1] == "settled"
            assert site.paid_for() == (3, 2, 1)


async def proof_of(relay: Relay, name: Hash32) -> bytes:
    """The call that proves a withdrawal now."""
    looked = await relay.withdrawals.look(name)
    assert looked is not None
    assert looked.standing.game is not None
    return await relay.withdrawals.prove_call(looked.sent, looked.standing.game)


async def test_what_a_user_has_proven_is_finalized_on_as_soon_as_it_is_ready(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            # Given a user's proof that is ready before anybody looks
            await site.claimant.send(PORTAL, await proof_of(relay, name))
            with trio.fail_after(PATIENCE_S):
                while (await relay.report(name)).state != "finalizable":
                    await site.try_to_resolve(relay.parts)
                    await site.mine()
            # Then the relayer finalizes on it and makes none
            await relay.look()
            assert (await settled(relay, name))[-1] == "settled"
            assert site.paid_for() == (1, 1, 1)
            assert site.balance(TARGET) == 5


async def test_a_stranger_who_proves_again_and_again_delays_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            again = await proof_of(relay, name)
            # Given a stranger who proves first, and again in every block, so that its proof is never ready
            blocks = proofs = 0
            with trio.fail_after(PATIENCE_S):
                while (await relay.report(name)).state != "settled":
                    await site.claimant.send(PORTAL, again)
                    await relay.step()
                    blocks += 1
                    proofs = site.paid_for()[1]
            # Then the relayer's own proof settles it, and was made once
            assert proofs > blocks // 2
            assert site.paid_for()[0] == 2
            assert site.paid_for()[2] == 1
            assert site.balance(TARGET) == 5


async def test_a_call_that_asks_for_much_gas_gets_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        # Given a call that asks for as much as the relayer pays for, and uses a hundredth
        first = await site.grow(site.withdrawal(5, gas_limit=RELAYED_GAS_MAX))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            # Then it settles at the first attempt
            assert (await settled(relay, name))[-1] == "settled"
            assert site.balance(TARGET) == 5
            assert site.paid_for() == (2, 1, 1)


async def test_what_is_unknown_or_too_dear_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        dear = await site.grow(site.withdrawal(5, gas_limit=RELAYED_GAS_MAX + 1))
        async with site.relaying() as relay:
            refusal = await relay.view.settle(dear)
            assert refusal is not None
            assert "finalize it yourself" in refusal
            unknown = Hash32(b"\x99" * 32)
            assert await relay.view.settle(unknown) == "the L2 holds no withdrawal of this hash"
            assert await relay.view.withdrawal(unknown) is None
            await relay.look()
            assert not (await relay.report(dear)).is_relayed


async def test_a_reset_between_choosing_and_proving_stops_nobody(tmp_path: Path) -> None:
    async with scene(tmp_path) as site:
        first = await site.grow(site.withdrawal(5))
        async with site.relaying() as relay:
            name = await asked(relay, first)
            await site.game(relay.parts)
            looked = await relay.withdrawals.look(name)
            assert looked is not None
            game = looked.standing.game
            assert game is not None
            # When L1's data reaches less far than when the game was chosen
            site.l2.chain.set_safe(looked.sent.number - 1, None)
            # Then there is no proof, and no such game either
            with pytest.raises(MissingState, match="is not derived any more"):
                await relay.withdrawals.prove_call(looked.sent, game)
            report = await relay.report(name)
            assert (report.state, report.l2_status) == ("initiated", "unsafe")
            assert [wait.need for wait in report.waits] == ["data", "game"]
            await relay.look()
            assert site.paid_for() == (0, 0, 0)
