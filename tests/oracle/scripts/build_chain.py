"""Builds a chain with EELS from a plan, across forks: python build_chain.py PLAN.json.

PLAN.json: {"chainId", "genesis": {"alloc", "gasLimit", "timestamp"} as geth has them, "blocks": [{"fork": EELS's name,
"timestamp", "coinbase", "extraData", "transactions": [raw], "ommers": [{"age", "coinbase", "seconds",
"extraData"}]}]}, all bytes 0x-hex.
What a block does to the state, its roots and its difficulty come from EELS, which then judges the block as any other;
only the seal of proof of work is left out. Prints {"genesis": rlp, "blocks": [rlp], "totalDifficulty": of the last with work}.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

from ethereum.crypto.hash import keccak256
from ethereum.exceptions import InvalidBlock
from ethereum.fork_criteria import ByBlockNumber
from ethereum_rlp import rlp
from ethereum_types.numeric import U64, U256, Uint

DIFFICULTY_MIN = 131_072
BASE_FEE_FIRST = 1_000_000_000
EMPTY_OMMERS = keccak256(rlp.encode([]))


def unhex(text: str) -> bytes:
    """Bytes of 0x-hex."""
    return bytes.fromhex(text.removeprefix("0x"))


def number_bytes(value: int) -> bytes:
    """A number as RLP has it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def part(fork: str, name: str) -> ModuleType:
    """A module of a fork."""
    return importlib.import_module(f"ethereum.forks.{fork}.{name}")


class Builder:
    """A chain under construction."""

    def __init__(self, plan: dict) -> None:
        self.plan = plan
        first = plan["blocks"][0]["fork"]
        self.fork_name = first
        state = self.genesis_state(part(first, "state"), part(first, "fork_types"))
        genesis = self.header(first, 0, plan["genesis"], parent=None)
        genesis[3] = bytes(part(first, "state").state_root(state))
        self.blocks = [rlp.encode([genesis, [], []])]
        block = rlp.decode_to(part(first, "blocks").Block, self.blocks[0])
        fork = part(first, "fork")
        self.chain = fork.BlockChain(blocks=[block], state=state, chain_id=U64(plan["chainId"]))
        self.total_difficulty = DIFFICULTY_MIN

    def genesis_state(self, states: ModuleType, types: ModuleType) -> object:
        """The state that the alloc describes."""
        state = states.State()
        for address, entry in self.plan["genesis"]["alloc"].items():
            account = types.Account(
                nonce=Uint(int(entry.get("nonce", "0x0"), 0)),
                balance=U256(int(entry.get("balance", "0x0"), 0)),
                code=unhex(entry.get("code", "0x")),
            )
            states.set_account(state, types.Address(unhex(address)), account)
        return state

    def header(self, fork: str, number: int, entry: dict, parent: object) -> list:
        """A header whose roots are still missing."""
        london = fork in ("london", "arrow_glacier", "gray_glacier", "paris")
        gas_limit = int(self.plan["genesis"]["gasLimit"], 0) * (2 if london else 1)
        work = fork != "paris"
        fields = [
            b"" if parent is None else bytes(keccak256(rlp.encode(parent))),
            bytes(EMPTY_OMMERS),
            unhex(entry.get("coinbase", "0x" + "00" * 20)),
            bytes(32),
            bytes(keccak256(rlp.encode(b""))),
            bytes(keccak256(rlp.encode(b""))),
            bytes(256),
            number_bytes(self.difficulty(fork, number, entry, parent) if work else 0),
            number_bytes(number),
            number_bytes(gas_limit),
            b"",
            number_bytes(int(str(entry["timestamp"]), 0)),
            unhex(entry.get("extraData", "0x")),
            bytes(32) if work else bytes(keccak256(number_bytes(number))),
            bytes(8),
        ]
        if parent is None:
            fields[0] = bytes(32)
        if london:
            fields.append(number_bytes(self.base_fee(fork, gas_limit, parent)))
        return fields

    def difficulty(self, fork: str, number: int, entry: dict, parent: object) -> int:
        """By the fork's own rule."""
        if parent is None:
            return DIFFICULTY_MIN
        module = part(fork, "fork")
        arguments = [
            Uint(number),
            U256(int(str(entry["timestamp"]), 0)),
            parent.timestamp,
            parent.difficulty,
        ]
        if fork not in (
            "frontier",
            "homestead",
            "dao_fork",
            "tangerine_whistle",
            "spurious_dragon",
        ):
            arguments.append(parent.ommers_hash != EMPTY_OMMERS)
        return int(module.calculate_block_difficulty(*arguments))

    def base_fee(self, fork: str, gas_limit: int, parent: object) -> int:
        """EIP-1559."""
        if not hasattr(parent, "base_fee_per_gas"):
            return BASE_FEE_FIRST
        return int(
            part(fork, "fork").calculate_base_fee_per_gas(
                Uint(gas_limit), parent.gas_limit, parent.gas_used, parent.base_fee_per_gas
            )
        )

    def ommer(self, fork: str, number: int, wanted: dict) -> list:
        """A header that was not taken: a sibling of the block that is `age` below."""
        parent = self.chain.blocks[number - wanted["age"] - 1].header
        entry = {
            "timestamp": int(parent.timestamp) + wanted["seconds"],
            "coinbase": wanted["coinbase"],
            "extraData": wanted["extraData"],
        }
        return self.header(fork, number - wanted["age"], entry, parent)

    def add(self, entry: dict) -> None:
        """Build one block, and let EELS judge it."""
        name, number = entry["fork"], len(self.blocks)
        fork = part(name, "fork")
        if name != self.fork_name:
            fork.FORK_CRITERIA = ByBlockNumber(number)
            self.chain.state = self.state_for(name)
            self.chain = fork.apply_fork(self.chain)
            self.fork_name = name
        if hasattr(fork, "validate_proof_of_work"):
            fork.validate_proof_of_work = lambda _: None
        header = self.header(name, number, entry, self.chain.blocks[-1].header)
        ommers = [self.ommer(name, number, one) for one in entry.get("ommers", [])]
        header[1] = bytes(keccak256(rlp.encode(ommers)))
        raws = [unhex(raw) for raw in entry["transactions"]]
        transactions = [rlp.decode(raw) if raw[0] >= 0xC0 else raw for raw in raws]
        self.fill(fork, header, transactions, ommers)
        encoded = rlp.encode([header, transactions, ommers])
        block = rlp.decode_to(part(name, "blocks").Block, encoded)
        fork.state_transition(self.chain, block)
        self.blocks.append(encoded)
        self.total_difficulty += int(block.header.difficulty)

    def state_for(self, name: str) -> object:
        """The state in the types of another fork."""
        states, types = part(name, "state"), part(name, "fork_types")
        old, state = self.chain.state, states.State()
        for address, account in old._main_trie._data.items():
            if account is not None:
                moved = types.Account(
                    nonce=account.nonce, balance=account.balance, code=account.code
                )
                states.set_account(state, address, moved)
        for address, trie in old._storage_tries.items():
            for slot, value in trie._data.items():
                states.set_storage(state, address, slot, value)
        return state

    def copied_state(self) -> object:
        """The state, to be tried out on."""
        copy_trie = part(self.fork_name, "trie").copy_trie
        state = copy.copy(self.chain.state)
        state._main_trie = copy_trie(state._main_trie)
        state._storage_tries = {key: copy_trie(trie) for key, trie in state._storage_tries.items()}
        return state

    def fill(self, fork: ModuleType, header: list, transactions: list, ommers: list) -> None:
        """Execute a draft of the block on a copy of the state, and take its roots."""
        block = rlp.decode_to(
            part(self.fork_name, "blocks").Block, rlp.encode([header, transactions, ommers])
        )
        draft = fork.BlockChain(
            blocks=list(self.chain.blocks),
            state=self.copied_state(),
            chain_id=self.chain.chain_id,
        )
        found = []
        apply_body = fork.apply_body

        def captured(**arguments: object) -> object:
            output = apply_body(**arguments)
            found.append((arguments["block_env"], output))
            return output

        fork.apply_body = captured
        try:
            fork.state_transition(draft, block)
        except InvalidBlock:
            if not found:
                raise
        finally:
            fork.apply_body = apply_body
        environment, output = found[0]
        header[3] = bytes(fork.state_root(environment.state))
        header[4] = bytes(fork.root(output.transactions_trie))
        header[5] = bytes(fork.root(output.receipts_trie))
        header[6] = bytes(fork.logs_bloom(output.block_logs))
        header[10] = number_bytes(int(output.block_gas_used))


def difficulties(cases: list) -> list:
    """EELS's difficulty for each [fork, number, seconds passed, parent's difficulty, parent has ommers]."""
    found = []
    for fork, number, seconds, difficulty, has_ommers in cases:
        arguments = [Uint(number), U256(1_000 + seconds), U256(1_000), Uint(difficulty)]
        if fork not in (
            "frontier",
            "homestead",
            "dao_fork",
            "tangerine_whistle",
            "spurious_dragon",
        ):
            arguments.append(bool(has_ommers))
        found.append(str(int(part(fork, "fork").calculate_block_difficulty(*arguments))))
    return found


def main(path: Path) -> None:
    """Build what the plan says."""
    plan = json.loads(path.read_text())
    builder = Builder(plan)
    for entry in plan["blocks"]:
        try:
            builder.add(entry)
        except Exception as error:
            raise AssertionError(f"block {len(builder.blocks)}: {error!r}") from error
    print(
        json.dumps(
            {
                "blocks": ["0x" + block.hex() for block in builder.blocks],
                "totalDifficulty": str(builder.total_difficulty),
                "difficulties": difficulties(plan["difficulties"]),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
