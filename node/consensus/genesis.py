"""The `consensus` object of a genesis.json: read with errors that name the key, and made into the first state.

    genesis.json -> parse -> Genesis -> extra_data (in the genesis header) -> genesis hash -> rules, genesis_state

The header's extra_data commits to parameters and validators, so the genesis hash does, and so does every signature.
Deliberately absent: files, and EVM accounts (the engine reads its part of the same object).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from node.consensus.containers import Checkpoint
from node.consensus.parameters import STAKE_GWEI, Parameters, Rules
from node.consensus.reasons import Reason
from node.consensus.signing import Domains
from node.consensus.state import (
    CALM_AT_GENESIS,
    ConsensusState,
    QuorumSpan,
    SetVersion,
    Validator,
)
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, Epoch, Gwei, Hash32, Slot

_RANGES = {
    "slot_seconds": (1, 3_600),
    "slots_per_epoch": (1, 32),
    "vote_due_permille": (1, 999),
    "freeze_permille": (1, 999),
    "vote_expiry_slots": (1, 1_024),
    "lookahead_slots": (1, 1_024),
    "schedule_delay_epochs": (2, 1_024),
    "leak_after_epochs": (0, 1 << 20),
    "leak_period_epochs": (1, 1 << 20),
    "churn_divisor": (1, 256),
    "tryout_epochs": (0, 1 << 20),
    "join_pause_epochs": (0, 1 << 20),
    "onion_layers": (2, 1_024),
    "first_proposal_slot": (1, 1_024),
    "unbond_epochs": (1, 1 << 20),
    "max_validators": (1, 256),
}
"""What each parameter may be, both ends included."""

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisValidator:
    """A validator that the chain starts with."""

    public_key: bytes
    """Ed25519; 32 bytes."""
    withdrawal_address: Address
    """Where its stake goes in the end; 20 bytes."""
    commitment: Hash32
    """Tip of its first RANDAO onion."""
    balance_gwei: Gwei = STAKE_GWEI
    """What it gets back; at least the stake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What a genesis file says to consensus."""

    parameters: Parameters
    """Constants of the network."""
    validators: tuple[GenesisValidator, ...]
    """The first set, by index."""
    chain_id: int
    """EIP-155 chain id."""
    time: int
    """Start of slot 0, seconds since the epoch of Unix."""

    @property
    def extra_data(self) -> Hash32:
        """The genesis header's extra_data: root([parameters, validators])."""
        return keccak256(
            rlp.encode(
                (
                    [int(getattr(self.parameters, entry.name)) for entry in fields(Parameters)],
                    [
                        (
                            validator.public_key,
                            validator.withdrawal_address,
                            validator.commitment,
                            validator.balance_gwei,
                        )
                        for validator in self.validators
                    ],
                )
            )
        )

    def rules(self, genesis_hash: Hash32) -> Rules:
        """Bind the parameters to the chain that has this genesis block."""
        return Rules(
            parameters=self.parameters,
            genesis_time=self.time,
            domains=Domains.of(self.chain_id, genesis_hash),
        )


def genesis_state(genesis: Genesis, genesis_hash: Hash32) -> ConsensusState:
    """Build the state after the genesis block: it is justified and finalized, everybody has weight."""
    checkpoint = Checkpoint(epoch=Epoch(0), block_hash=genesis_hash)
    everybody = (1 << len(genesis.validators)) - 1
    return ConsensusState(
        slot=Slot(0),
        justified=checkpoint,
        finalized=checkpoint,
        justified_blocks={Epoch(0): genesis_hash},
        tallies={},
        links=frozenset(),
        quorum_spans=(QuorumSpan(from_epoch=Epoch(0), weights=(everybody,)),),
        sets=(SetVersion(start_epoch=Epoch(0), weights=everybody, joint=False),),
        deposits=(),
        exits=(),
        validators=tuple(
            Validator(
                public_key=validator.public_key,
                withdrawal_address=validator.withdrawal_address,
                balance_gwei=validator.balance_gwei,
                commitment=validator.commitment,
                next_commitment=ZERO_HASH,
            )
            for validator in genesis.validators
        ),
        stall=0,
        calm=CALM_AT_GENESIS,
        active=0,
        mix=genesis_hash,
        recent_mixes=((Slot(0), genesis_hash),),
        next_withdrawal_index=0,
    )


def parse(document: object) -> Genesis:
    """Read a genesis.json as decoded from JSON. Raises Rejected(GENESIS) with the key, what it holds and what it must."""
    top = _mapping(document, "genesis.json")
    consensus = _mapping(_key(top, "consensus", ""), "consensus")
    config = _mapping(_key(top, "config", ""), "config")
    genesis = Genesis(
        parameters=_parameters(consensus),
        validators=_validators(_key(consensus, "validators", "consensus.")),
        chain_id=_integer(_key(config, "chainId", "config."), "config.chainId", 1, (1 << 53) - 1),
        time=_quantity(_key(top, "timestamp", ""), "timestamp"),
    )
    if len(genesis.validators) > genesis.parameters.max_validators:
        raise _wrong(
            "consensus.validators",
            f"{len(genesis.validators)} validators",
            f"at most max_validators = {genesis.parameters.max_validators}",
        )
    return genesis


def genesis_document(genesis: Genesis) -> dict[str, object]:
    """Write the `consensus` object of a genesis.json; `parse` reads it back."""
    document: dict[str, object] = {
        entry.name: int(getattr(genesis.parameters, entry.name)) for entry in fields(Parameters)
    }
    document["validators"] = [
        {
            "public_key": "0x" + validator.public_key.hex(),
            "withdrawal_address": "0x" + validator.withdrawal_address.hex(),
            "commitment": "0x" + validator.commitment.hex(),
            "balance_gwei": int(validator.balance_gwei),
        }
        for validator in genesis.validators
    ]
    return document


def _parameters(consensus: Mapping[str, object]) -> Parameters:
    names = {entry.name for entry in fields(Parameters)}
    if unknown := sorted(set(consensus) - names - {"validators"}):
        raise _wrong(f"consensus.{unknown[0]}", "an unknown key", f"one of {sorted(names)}")
    slots_per_epoch = consensus.get("slots_per_epoch", Parameters().slots_per_epoch)
    least = max(4, 2 * slots_per_epoch) if isinstance(slots_per_epoch, int) else 4
    defaults = Parameters(lookahead_slots=least)
    values = {
        name: _integer(
            consensus.get(name, getattr(defaults, name)), f"consensus.{name}", *_RANGES[name]
        )
        for name in names
    }
    return check_parameters(Parameters(**values))


def check_parameters(parameters: Parameters) -> Parameters:
    """Refuse parameters that contradict each other. Raises Rejected(GENESIS)."""
    if parameters.onion_layers % 2:
        raise _wrong("consensus.onion_layers", str(parameters.onion_layers), "an even number")
    if parameters.vote_due_permille >= parameters.freeze_permille:
        raise _wrong(
            "consensus.vote_due_permille",
            str(parameters.vote_due_permille),
            f"less than freeze_permille = {parameters.freeze_permille}",
        )
    least = max(4, 2 * parameters.slots_per_epoch)
    if parameters.lookahead_slots < least:
        raise _wrong(
            "consensus.lookahead_slots",
            str(parameters.lookahead_slots),
            f"at least max(4, 2 * slots_per_epoch) = {least}",
        )
    return parameters


def _validators(listed: object) -> tuple[GenesisValidator, ...]:
    if not isinstance(listed, list) or not 1 <= len(listed) <= 256:
        raise _wrong("consensus.validators", _shown(listed), "a list of 1 to 256 validators")
    validators = tuple(_validator(entry, place) for place, entry in enumerate(listed))
    keys = [validator.public_key for validator in validators]
    for place, key in enumerate(keys):
        if key in keys[:place]:
            raise _wrong(
                f"consensus.validators[{place}].public_key", "a key twice", "a key of its own"
            )
    return validators


def _validator(entry: object, place: int) -> GenesisValidator:
    name = f"consensus.validators[{place}]"
    found = _mapping(entry, name)
    if unknown := sorted(
        set(found) - {"public_key", "withdrawal_address", "commitment", "balance_gwei"}
    ):
        raise _wrong(f"{name}.{unknown[0]}", "an unknown key", "no such key")
    prefix = f"{name}."
    return GenesisValidator(
        public_key=_hex(_key(found, "public_key", prefix), f"{prefix}public_key", 32),
        withdrawal_address=Address(
            _hex(_key(found, "withdrawal_address", prefix), f"{prefix}withdrawal_address", 20)
        ),
        commitment=Hash32(_hex(_key(found, "commitment", prefix), f"{prefix}commitment", 32)),
        balance_gwei=Gwei(
            _integer(
                found.get("balance_gwei", STAKE_GWEI),
                f"{prefix}balance_gwei",
                STAKE_GWEI,
                (1 << 64) - 1,
            )
        ),
    )


def _key(found: Mapping[str, object], name: str, prefix: str) -> object:
    if name not in found:
        raise _wrong(prefix + name, "nothing", "this key")
    return found[name]


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, _shown(value), "an object")
    return value


def _integer(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(name, _shown(value), f"an integer from {least} to {most}")
    return value


def _quantity(value: object, name: str) -> int:
    """Read a number as geth's genesis has it: an integer or a hex string."""
    if isinstance(value, str) and value.startswith("0x"):
        if not 3 <= len(value) <= 18 or not set(value[2:]) <= _HEX_DIGITS:
            raise _wrong(name, _shown(value), "an integer or a hex quantity")
        return int(value, 16)
    return _integer(value, name, 0, (1 << 63) - 1)


def _hex(value: object, name: str, length: int) -> bytes:
    wanted = f"{length} bytes as 0x and {2 * length} hex digits"
    if not isinstance(value, str) or len(value) != 2 + 2 * length or not value.startswith("0x"):
        raise _wrong(name, _shown(value), wanted)
    if not set(value[2:]) <= _HEX_DIGITS:
        raise _wrong(name, _shown(value), wanted)
    return bytes.fromhex(value[2:])


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _wrong(name: str, found: str, wanted: str) -> Rejected:
    return Rejected(Reason.GENESIS, f"{name}: found {found}, want {wanted}")
