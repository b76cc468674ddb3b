"""Validators that come and go: deposits and exits as transactions, and hosts for keys that the genesis does not know.

join(simulation, "joiner") -> host with a new key, down; deposit(simulation, key) -> transaction -> offer(simulation, raw)
"""

from __future__ import annotations

from hashlib import sha256

from node.consensus.parameters import STAKE_GWEI
from node.consensus.signing import deposit_message
from node.eth.primitives import Address, Gwei
from node.eth.requests import DepositRecord, ExitRecord, encode_deposit, encode_exit
from node.validator.keys import ValidatorKey
from tests.simulation.engine import ask_for
from tests.simulation.hosts import Host
from tests.simulation.network import Simulation

DEPOSITS = b"\x00"
"""Request type of EIP-6110."""

EXITS = b"\x01"
"""Request type of EIP-7002."""


def new_key(simulation: Simulation, name: str) -> ValidatorKey:
    """A key that no genesis names."""
    word = f"{name} of {simulation.plan.seed}".encode()
    return ValidatorKey(
        private_key=sha256(b"key " + word).digest(), onion_seed=sha256(b"onion " + word).digest()
    )


def join(simulation: Simulation, name: str) -> Host:
    """Put up a host with a new key; it does not run yet."""
    simulation._add(name, [new_key(simulation, name)], None)
    return simulation.hosts[name]


def deposit(simulation: Simulation, key: ValidatorKey) -> bytes:
    """The transaction that puts down a key's stake."""
    credentials = b"\x01" + bytes(11) + sha256(key.public_key).digest()[:20]
    commitment = key.commitment(0, simulation.plan.parameters.onion_layers)
    message = deposit_message(
        simulation.witness.rules.domains.deposit, key.public_key, credentials, commitment
    )
    record = DepositRecord(
        public_key=key.public_key + bytes(16),
        withdrawal_credentials=credentials,
        amount_gwei=STAKE_GWEI,
        signature=key.sign(message) + commitment,
        index=0,
    )
    return ask_for(DEPOSITS + encode_deposit(record))


def exit_of(simulation: Simulation, index: int) -> bytes:
    """The transaction that asks for a genesis validator's exit."""
    validator = simulation.plan.genesis().validators[index]
    record = ExitRecord(
        source_address=Address(validator.withdrawal_address),
        public_key=validator.public_key + bytes(16),
        amount_gwei=Gwei(0),
    )
    return ask_for(EXITS + encode_exit(record))


async def offer(simulation: Simulation, raw: bytes) -> None:
    """Hand a transaction to every running node."""
    for host in simulation.up:
        assert host.core is not None
        await host.core.pool.submit(raw)


def weights(simulation: Simulation) -> int:
    """Who has weight in the newest version on validator-0's chain, a mask."""
    return simulation.head_state().sets[-1].weights
