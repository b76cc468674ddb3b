"""What `devnet_info` and `devnet_consensus` answer, made from the parts of a running node.

    info.json, Chain -> DevnetView -> node.rpc

Deliberately absent: anything that changes the node (faults are `node.app.faults`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import orjson

from node.consensus.containers import Checkpoint
from node.consensus.quorums import weights_in_force
from node.consensus.state import FAR_FUTURE_EPOCH, ConsensusState, Validator
from node.eth.blocks import Block
from node.eth.primitives import Epoch, Hash32, Slot
from node.storage.chain_database import Conflict

INFO_BYTES_MAX: Final = 1 << 20
"""A network's description is never longer."""


class ObservedChain(Protocol):
    """What is told of the chain."""

    @property
    def head(self) -> Block:
        """What the fork choice answered last."""

    @property
    def head_slot(self) -> Slot:
        """Slot of the head."""

    @property
    def confirmed(self) -> Block:
        """What two thirds support by their latest votes."""

    @property
    def justified_checkpoint(self) -> Checkpoint:
        """The highest justified checkpoint."""

    @property
    def finalized_checkpoint(self) -> Checkpoint:
        """The highest finalized checkpoint."""

    @property
    def conflict(self) -> Conflict | None:
        """Which checkpoints exclude each other and were both made final or justified."""

    @property
    def participation(self) -> float:
        """Share of the weight whose vote of the last slot was heard."""

    def consensus_state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block."""


def read_info(file: Path | None) -> object:
    """The network's description as it is now; an empty object where there is none."""
    if file is None or not file.exists():
        return {}
    raw = file.read_bytes()[:INFO_BYTES_MAX]
    described: object = orjson.loads(raw)
    return described


def describe_consensus(
    chain: ObservedChain, *, epoch: Epoch, own_keys: Sequence[bytes]
) -> dict[str, object]:
    """How consensus stands: head, justified, finalized, validators, participation.

    Args:
        chain: the chain.
        epoch: the current one; says who has weight.
        own_keys: public keys that this process signs with, 32 bytes each.
    """
    head = chain.head
    state = chain.consensus_state(head.hash)
    assert state is not None, "the head's state is always kept"
    weights = weights_in_force(state, max(epoch, state.finalized.epoch))
    return {
        "head": {
            "slot": chain.head_slot,
            "number": head.header.number,
            "hash": _hex(head.hash),
        },
        "confirmed": {
            "number": chain.confirmed.header.number,
            "hash": _hex(chain.confirmed.hash),
        },
        "justified": _checkpoint(chain.justified_checkpoint),
        "finalized": _checkpoint(chain.finalized_checkpoint),
        "participation": round(chain.participation, 6),
        "safetyFault": _conflict(chain.conflict),
        "stallEpochs": state.stall,
        "validators": [
            _validator(index, validator, weights, own_keys)
            for index, validator in enumerate(state.validators)
        ],
    }


def _checkpoint(checkpoint: Checkpoint) -> dict[str, object]:
    return {"epoch": checkpoint.epoch, "hash": _hex(checkpoint.block_hash)}


def _conflict(conflict: Conflict | None) -> dict[str, object] | None:
    """Both checkpoints; `devnet_finalityProof` gives the certificate of each that has one."""
    if conflict is None:
        return None
    return {
        "message": str(conflict),
        "first": _checkpoint(conflict.first),
        "second": _checkpoint(conflict.second),
        "seenIn": _hex(conflict.block_hash),
    }


def _validator(
    index: int, validator: Validator, weights: int, own_keys: Sequence[bytes]
) -> dict[str, object]:
    return {
        "index": index,
        "publicKey": _hex(validator.public_key),
        "withdrawalAddress": _hex(validator.withdrawal_address),
        "balanceGwei": int(validator.balance_gwei),
        "weight": weights >> index & 1,
        "slashed": validator.slashed,
        "exitEpoch": _epoch(validator.exit_epoch),
        "withdrawableEpoch": _epoch(validator.withdrawable_epoch),
        "here": validator.public_key in own_keys,
    }


def _epoch(epoch: Epoch) -> int | None:
    return None if epoch == FAR_FUTURE_EPOCH else int(epoch)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
