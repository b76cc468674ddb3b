"""Requests of the execution layer: deposits become candidates, withdrawal requests become exits, exits become withdrawals.

    block executed -> apply_requests -> queues in the state -> (finality) node.consensus.epochs -> expected_withdrawals

A deposit goes through the unmodified deposit contract: 48 bytes of key hold an Ed25519 key and 16 zero bytes, 96 bytes of
signature hold a proof of possession (64) and the RANDAO commitment (32).
What the contract lets through and this module does not want is lost to the depositor, as an invalid deposit is on Ethereum.
Deliberately absent: partial withdrawals and consolidations (weight is 0 or 1), rewards.
Source: EIP-6110, EIP-7002, EIP-4895, node/README.md section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from node.consensus.limits import MAX_PENDING_DEPOSITS, MAX_WITHDRAWALS
from node.consensus.parameters import STAKE_GWEI, Rules
from node.consensus.signing import SignatureVerifier, SignedMessage, deposit_message
from node.consensus.state import FAR_FUTURE_EPOCH, ConsensusState, PendingDeposit, PendingExit
from node.eth.headers import Withdrawal
from node.eth.primitives import Address, Gwei, Hash32, Slot, ValidatorIndex
from node.eth.requests import (
    DEPOSIT_TYPE,
    EXIT_TYPE,
    DepositRecord,
    ExitRecord,
    deposit_records,
    exit_records,
    split_requests,
)

_KEY_PADDING = bytes(16)
_CREDENTIAL_PREFIXES = (b"\x01" + bytes(11), b"\x02" + bytes(11))


def apply_requests(
    rules: Rules,
    state: ConsensusState,
    slot: Slot,
    requests: Sequence[bytes],
    verify: SignatureVerifier,
) -> ConsensusState:
    """Take in a block's requests, in order; types other than deposits and exits are ignored. Raises Rejected."""
    by_type = split_requests(requests)
    deposits = deposit_records(by_type.get(DEPOSIT_TYPE, b""))
    for deposit in filter_proven(rules, deposits, verify):
        state = take_deposit(state, slot, deposit)
    for request in exit_records(by_type.get(EXIT_TYPE, b"")):
        state = take_exit(state, slot, request)
    return state


def filter_proven(
    rules: Rules, deposits: Sequence[DepositRecord], verify: SignatureVerifier
) -> list[DepositRecord]:
    """Keep the deposits that are well formed and signed by the key they are for."""
    formed = [deposit for deposit in deposits if is_well_formed(deposit)]
    if not formed:
        return []
    proven = verify([proof_of_possession(rules, deposit) for deposit in formed])
    return [deposit for deposit, valid in zip(formed, proven, strict=True) if valid]


def is_well_formed(deposit: DepositRecord) -> bool:
    """Tell whether the key is padded with zeros and the credentials name an address."""
    return (
        deposit.public_key[32:] == _KEY_PADDING
        and deposit.withdrawal_credentials[:12] in _CREDENTIAL_PREFIXES
    )


def proof_of_possession(rules: Rules, deposit: DepositRecord) -> SignedMessage:
    """Name the signature in a deposit: over key, credentials and commitment."""
    key, commitment = deposit.public_key[:32], Hash32(deposit.signature[64:])
    message = deposit_message(
        rules.domains.deposit, key, deposit.withdrawal_credentials, commitment
    )
    return key, message, deposit.signature[:64]


def take_deposit(state: ConsensusState, slot: Slot, deposit: DepositRecord) -> ConsensusState:
    """Queue a new key's stake until its block is finalized; a known key's is added to what it has.

    A first deposit below the stake is not taken in: the registry is bounded, and a place in it must cost one.
    """
    key = deposit.public_key[:32]
    for index, validator in enumerate(state.validators):
        if validator.public_key == key:
            balance = Gwei(validator.balance_gwei + deposit.amount_gwei)
            return _with_validator(state, ValidatorIndex(index), balance)
    for place, pending in enumerate(state.deposits):
        if pending.public_key == key:
            raised = replace(pending, amount_gwei=Gwei(pending.amount_gwei + deposit.amount_gwei))
            deposits = (*state.deposits[:place], raised, *state.deposits[place + 1 :])
            return replace(state, deposits=deposits)
    if deposit.amount_gwei < STAKE_GWEI or len(state.deposits) >= MAX_PENDING_DEPOSITS:
        return state
    pending = PendingDeposit(
        public_key=key,
        withdrawal_address=Address(deposit.withdrawal_credentials[12:]),
        amount_gwei=deposit.amount_gwei,
        commitment=Hash32(deposit.signature[64:]),
        slot=slot,
    )
    return replace(state, deposits=(*state.deposits, pending))


def take_exit(state: ConsensusState, slot: Slot, request: ExitRecord) -> ConsensusState:
    """Queue the exit of a validator whose own withdrawal address asks for all of its stake."""
    if request.amount_gwei != 0 or request.public_key[32:] != _KEY_PADDING:
        return state
    for place, validator in enumerate(state.validators):
        if validator.public_key == request.public_key[:32]:
            index = ValidatorIndex(place)
            if validator.withdrawal_address != request.source_address or has_left(state, index):
                return state
            pending = PendingExit(validator_index=index, slot=slot)
            return replace(state, exits=(*state.exits, pending))
    return state


def has_left(state: ConsensusState, index: ValidatorIndex) -> bool:
    """Tell whether a validator left, asked to leave or was slashed: it never gets weight again."""
    return state.validators[index].exit_epoch != FAR_FUTURE_EPOCH or any(
        pending.validator_index == index for pending in state.exits
    )


def expected_withdrawals(rules: Rules, parent: ConsensusState) -> tuple[Withdrawal, ...]:
    """List what the block after `parent` must pay out: whole balances of who has unbonded, by index."""
    epoch = rules.epoch_of(parent.slot)
    due = [
        (ValidatorIndex(index), validator)
        for index, validator in enumerate(parent.validators)
        if validator.withdrawable_epoch <= epoch and validator.balance_gwei
    ]
    return tuple(
        Withdrawal(
            index=parent.next_withdrawal_index + place,
            validator_index=index,
            address=validator.withdrawal_address,
            amount_gwei=validator.balance_gwei,
        )
        for place, (index, validator) in enumerate(due[:MAX_WITHDRAWALS])
    )


def apply_withdrawals(state: ConsensusState, paid: Sequence[Withdrawal]) -> ConsensusState:
    """Empty the balances that a block pays out."""
    for withdrawal in paid:
        state = _with_validator(state, ValidatorIndex(withdrawal.validator_index), Gwei(0))
    if not paid:
        return state
    return replace(state, next_withdrawal_index=state.next_withdrawal_index + len(paid))


def _with_validator(
    state: ConsensusState, index: ValidatorIndex, balance_gwei: Gwei
) -> ConsensusState:
    validators = list(state.validators)
    validators[index] = replace(validators[index], balance_gwei=balance_gwei)
    return replace(state, validators=tuple(validators))
