"""Bonds: locked with a claim, granted to whom the end of its game names, paid once after a delay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.contracts import addresses
from node.contracts.alloc import dispute_allocations
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    AIR_GAP,
    BOND,
    LIAR,
    PROPOSER,
    RIVAL,
    VAULT,
    DisputeWorld,
    terms_of,
    wrong_root,
)
from tests.kit.execution_chain import address_of
from tests.node.contracts.disputes.ends import stand


def test_a_credit_is_paid_after_its_delay_and_once(world: DisputeWorld) -> None:
    """Given a credit granted in block G, then up to G + 2 it is not paid, in G + 3 it is, to the wei, and never again."""
    game = world.game(6)
    stand(world, game)
    granted, kit = world.height, world.network.world
    assert kit.read(VAULT, "locked", game.address) == 0
    assert (
        kit.read(VAULT, "payableFrom", game.address, address_of(PROPOSER)) == granted + AIR_GAP + 1
    )
    for _ in range(AIR_GAP):
        with pytest.raises(Reverted, match=rf"^TooEarly\({granted + AIR_GAP + 1},\)$"):
            kit.transact(FORCER, game.contract, "claimCredit", address_of(PROPOSER))
        world.pass_blocks(1)
    held = kit.balance(address_of(PROPOSER))
    kit.transact(FORCER, game.contract, "claimCredit", address_of(PROPOSER))
    assert world.height == granted + AIR_GAP + 1
    assert kit.balance(address_of(PROPOSER)) == held + BOND
    assert kit.balance(addresses.BOND_VAULT) == 0
    assert kit.read(VAULT, "payableFrom", game.address, address_of(PROPOSER)) == 0
    for contract, name, arguments in (
        (game.contract, "claimCredit", (address_of(PROPOSER),)),
        (VAULT, "withdraw", (game.address, address_of(PROPOSER))),
    ):
        with pytest.raises(Reverted, match=r"^NoCredit\(\)$"):
            kit.transact(PROPOSER, contract, name, *arguments)


def test_nobody_has_a_credit_that_no_game_granted(world: DisputeWorld) -> None:
    game = world.game(6)
    kit = world.network.world
    for recipient in (PROPOSER, LIAR, RIVAL):
        with pytest.raises(Reverted, match=r"^NoCredit\(\)$"):
            kit.transact(recipient, game.contract, "claimCredit", address_of(recipient))
    with pytest.raises(Reverted, match=r"^NotFactory\(\)$"):
        kit.transact(LIAR, VAULT, "lock", game.address, value=1)
    for name in ("refund", "forfeit"):
        with pytest.raises(Reverted, match=r"^NothingLocked\(\)$"):
            kit.transact(LIAR, VAULT, name, address_of(LIAR))
    assert kit.read(VAULT, "locked", game.address) == BOND


def test_a_recipient_that_refuses_keeps_its_credit(world: DisputeWorld) -> None:
    """Given a challenger without a way to take Ether, then nothing is paid, nothing lost, and no other credit is touched."""
    game = world.game(6, wrong={3: wrong_root()}, sender=LIAR)
    kit = world.network.world
    # Passes calls with input on to the game, and reverts a plain payment: the game has no default function.
    call = bytes.fromhex("365f5f375f5f365f5f73") + game.address + bytes.fromhex("5af1")
    code = call + bytes.fromhex("3d5f5f3e602a573d5ffd5b3d5ff3")
    init = bytes.fromhex("60") + bytes([len(code)]) + bytes.fromhex("80600a5f395ff3")
    prover = kit.send(RIVAL, None, init.ljust(10, b"\0") + code).contract
    assert prover is not None
    data = game.contract.input("proveFault", *world.prove_arguments(game, 3))
    assert kit.send(RIVAL, prover, data).succeeded
    world.pass_blocks(AIR_GAP)
    with pytest.raises(Reverted, match=r"^TransferFailed\(\)$"):
        kit.transact(RIVAL, game.contract, "claimCredit", prover)
    assert kit.read(game.contract, "credit", prover) == BOND // 10
    assert kit.balance(addresses.BOND_VAULT) == BOND // 10


def test_allocations_refuse_a_free_claim(world: DisputeWorld) -> None:
    terms = terms_of(world.parameters, world.roots[0])
    for changes in ({"bond_wei": 0}, {"bond_wei": -1}, {"anchor_root": bytes(32)}):
        with pytest.raises(ValueError, match="makes every claim free"):
            dispute_allocations(replace(terms, **changes))
