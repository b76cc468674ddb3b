"""A stake's way: in through a deposit, out through an exit or a slashing, paid once."""

from __future__ import annotations

from dataclasses import replace

from node.consensus import randao, registry
from node.consensus.parameters import Parameters
from node.eth.headers import Withdrawal
from node.eth.primitives import Slot
from tests.node.consensus.network import (
    Chain,
    Keys,
    Network,
    deposit_request,
    exit_of,
    exit_request,
    network,
)
from tests.node.consensus.test_state_transition import chain, double_vote


def test_a_candidate_is_registered_when_its_deposit_is_final() -> None:
    grown = chain(last=8)
    request = deposit_request([grown.network.deposit(Keys(name="joiner", real=False))])
    grown.extend(9, requests=[request])
    grown.vote_all(9)
    grown.run(10, 13)
    assert [entry.slot for entry in grown.state().deposits] == [9]
    grown.run(14, 14)
    assert grown.state().finalized.epoch * 2 >= 9
    grown.run(15, 16)
    assert len(grown.state().validators) == 5
    assert grown.state().deposits == ()


def test_stake_is_paid_out_once_unbonded() -> None:
    """An exit's balance leaves through the withdrawals list, exactly once, and the index counts on."""
    short = Network(
        genesis=replace(network(4).genesis, parameters=Parameters(unbond_epochs=3)),
        keys=network(4).keys,
        verify=network(4).verify,
    )
    grown = Chain(network=short)
    grown.run(4, 8)
    leaver = short.keys_of(grown.state(), 3)

    grown.extend(9, requests=[exit_request([exit_of(leaver)])])
    grown.vote_all(9)
    paid: list[tuple[int, Withdrawal]] = []
    for slot in range(10, 40):
        paid += [
            (slot, withdrawal)
            for withdrawal in registry.expected_withdrawals(short.rules, grown.state())
        ]
        grown.run(slot, slot)
    state = grown.state()
    assert [withdrawal.validator_index for _, withdrawal in paid] == [3]
    assert paid[0][1].amount_gwei == 32 * 10**9
    assert paid[0][1].address == leaver.withdrawal_address
    assert paid[0][0] >= 2 * state.validators[3].withdrawable_epoch
    assert state.validators[3].balance_gwei == 0
    assert state.next_withdrawal_index == 1
    assert state.sets[-1].weights == 0b0111


def test_slashed_validators_do_not_propose() -> None:
    grown = chain()
    slashed = grown.judge(grown.propose(13, evidence=(double_vote(grown),)))
    drawn = {
        randao.proposer_index(grown.network.rules, slashed, Slot(slot)) for slot in range(14, 80)
    }
    assert drawn == {0, 1, 3}
