"""What the chain of this folder holds: three blocks of every fork from Frontier to the merge, and what tells them apart.

    seed -> plan -> tests/oracle/scripts/build_chain.py (EELS) -> __main__ writes genesis.json and chain.rlp

Nothing of what a block does is decided here: roots, difficulties and rewards are EELS's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_account.types import TransactionDictType

from node.eth import rlp

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

SEED: Final = 1_559
"""Another one is another chain."""

CHAIN_ID: Final = 1_337
"""EIP-155."""

GAS_LIMIT: Final = 8_000_000
"""Of every block before London; twice as much since."""

ETHER: Final = 10**18
"""Wei."""

BLOCKS_OF_A_FORK: Final = 4
"""So that a fork's own rules also meet its own blocks."""

FORKS: Final = (
    "frontier",
    "homestead",
    "dao_fork",
    "tangerine_whistle",
    "spurious_dragon",
    "byzantium",
    "constantinople",
    "istanbul",
    "muir_glacier",
    "berlin",
    "london",
    "arrow_glacier",
    "gray_glacier",
    "paris",
)
"""EELS's names, in order; its Constantinople is Petersburg."""

CONFIG_KEYS: Final = {
    "homestead": ("homesteadBlock",),
    "dao_fork": ("daoForkBlock",),
    "tangerine_whistle": ("eip150Block",),
    "spurious_dragon": ("eip155Block", "eip158Block"),
    "byzantium": ("byzantiumBlock",),
    "constantinople": ("constantinopleBlock", "petersburgBlock"),
    "istanbul": ("istanbulBlock",),
    "muir_glacier": ("muirGlacierBlock",),
    "berlin": ("berlinBlock",),
    "london": ("londonBlock",),
    "arrow_glacier": ("arrowGlacierBlock",),
    "gray_glacier": ("grayGlacierBlock",),
}
"""geth's names; where the merge is nobody says: difficulty tells."""

DAO_MARK: Final = "0x" + b"dao-hard-fork".hex()
"""Extra data of the first ten blocks of the DAO fork."""

DAO_ACCOUNTS: Final = (
    "0xd4fe7bc31cedb7bfb8a345f31e668033056b2728",
    "0xb3fb0e5aba0e20e5c49d252dfd30e102b171a425",
    "0x304a554a310c7e546dfe434669c62820b7d83490",
)
"""Three of the accounts that the DAO fork empties; the others do not exist here."""

CODES: Final = {
    # Stores the second word of its input at the first.
    "0x" + "a1" * 20: "0x6020356000355500",
    # Logs its input under one topic.
    "0x" + "a2" * 20: "0x3660006000376001366000a100",
    # Calls the account that its input names, with nothing.
    "0x" + "a3" * 20: "0x6000600060006000600060003561c350f15000",
    # Destroys itself for the benefit of who is named.
    "0x" + "a4" * 20: "0x600035ff",
    # Creates a contract from its input and stores the address.
    "0x" + "a5" * 20: "0x3660006000373660006000f060005500",
    # Reverts; an unknown instruction before Byzantium.
    "0x" + "a6" * 20: "0x600160005260206000fd",
    # Stores the parent's hash, the beneficiary, time, number, difficulty and gas limit.
    "0x" + "a7" * 20: "0x6001430340600055416001554260025543600355446004554560055500",
    # Stores chain id and base fee: unknown instructions before Istanbul and London.
    "0x" + "a8" * 20: "0x466000554860015500",
    # Calls the account that its input names with the rest of it, and stores the first word of the answer.
    "0x"
    + "a9" * 20: "0x602036036020600037602060006020360360006000600035620186a0f1506000516000355500",
}
"""Contracts of the genesis block, by address."""


@dataclass(slots=True)
class Wallets:
    """Three accounts and what they send."""

    dice: Random
    """Decides everything."""
    accounts: list[LocalAccount] = field(
        default_factory=lambda: [Account.from_key("0x" + f"{key:02x}" * 32) for key in (17, 34, 51)]
    )
    """Funded at genesis."""
    nonces: dict[str, int] = field(default_factory=dict)
    """Next nonce of each."""

    def send(self, fork: int) -> str:
        """A signed transaction that is valid in a fork, whatever becomes of it."""
        account = self.dice.choice(self.accounts)
        nonce = self.nonces.get(account.address, 0)
        self.nonces[account.address] = nonce + 1
        fields = self._message(fork) | {"nonce": nonce, "gasPrice": 10**10}
        if fork >= FORKS.index("spurious_dragon") and self.dice.random() < 0.7:
            fields["chainId"] = CHAIN_ID
        self._typed(fork, fields)
        signed = account.sign_transaction(cast("TransactionDictType", fields))
        raw = bytes(signed.raw_transaction)
        if fork == 0 and self.dice.random() < 0.5:
            raw = with_high_s(raw)
        return "0x" + raw.hex()

    def _typed(self, fork: int, fields: dict[str, object]) -> None:
        dice = self.dice
        if fork >= FORKS.index("berlin") and dice.random() < 0.4:
            address = dice.choice([*CODES])
            keys = ["0x" + f"{dice.randrange(4):064x}" for _ in range(dice.randrange(3))]
            fields |= {
                "chainId": CHAIN_ID,
                "type": 1,
                "gas": cast("int", fields["gas"]) + 2_400 + 1_900 * len(keys),
                "accessList": [{"address": bytes.fromhex(address[2:]), "storageKeys": keys}],
            }
            if fork >= FORKS.index("london") and dice.random() < 0.6:
                del fields["gasPrice"]
                fields |= {"type": 2, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}

    def _message(self, fork: int) -> dict[str, object]:
        """Callee, value, data and gas."""
        dice = self.dice
        kind = dice.randrange(8)
        if kind == 0:
            to = bytes(dice.randrange(256) for _ in range(20))
            return {"to": to, "value": dice.randrange(10**15), "data": b"", "gas": 21_000}
        if kind == 1:
            return self._creation(fork)
        address = dice.choice([*CODES])
        target = dice.choice(
            [bytes(12) + dice.randbytes(20), (dice.randrange(1, 12)).to_bytes(32), bytes(32)]
        )
        data = target + dice.choice([b"", dice.randbytes(32), bytes(32), dice.randbytes(128)])
        if address.endswith("a5"):
            data = dice.choice(INIT_CODES)
        # An account without code may also be paid: before EIP-158 by nothing, and it is there.
        gas = dice.choice([60_000, 120_000, 400_000])
        return {"to": bytes.fromhex(address[2:]), "value": 0, "data": data, "gas": gas}

    def _creation(self, fork: int) -> dict[str, object]:
        data = self.dice.choice(INIT_CODES)
        least = 21_000 + (32_000 if fork else 0) + 68 * len(data)
        return {"to": b"", "value": 0, "data": data, "gas": least + self.dice.randrange(30_000)}


INIT_CODES: Final = (
    bytes.fromhex("60406000f3"),  # 64 zero bytes: 12,800 gas to keep
    bytes.fromhex("60ff6000f3"),  # 255 zero bytes: often more than there is
    bytes.fromhex("6001600055"),  # stores, keeps no code
    bytes.fromhex("60ef60005360016000f3"),  # code that begins with 0xef: refused since London
    bytes.fromhex("600160005560006000fd"),  # stores, then reverts
    bytes.fromhex("33ff"),  # destroys itself while it is made
)
"""Codes of creations."""


def with_high_s(raw: bytes) -> bytes:
    """The same legacy transaction with the other of its two signatures, which EIP-2 forbids."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields = rlp.as_list(rlp.decode(raw), 9)
    v, s = rlp.as_integer(fields[6]), rlp.as_integer(fields[8], 256)
    return rlp.encode(
        [*(rlp.as_bytes(one) for one in fields[:6]), 55 - v, rlp.as_bytes(fields[7]), order - s]
    )


def plan() -> dict[str, Json]:
    """The whole chain."""
    dice = Random(SEED)
    wallets = Wallets(dice)
    blocks: list[Json] = []
    timestamp = 1_000
    for index, fork in enumerate(FORKS):
        for place in range(BLOCKS_OF_A_FORK):
            number = len(blocks) + 1
            timestamp += dice.choice([1, 8, 9, 12, 13, 20, 60, 1_200])
            block: dict[str, Json] = {
                "fork": fork,
                "timestamp": timestamp,
                "coinbase": "0x" + f"{dice.randrange(1, 4):02x}" * 20,
                "extraData": marked(number, hex(0xE0 + place)),
                "transactions": [wallets.send(index) for _ in range(dice.randrange(3, 7))],
            }
            if fork != "paris" and place >= 2:
                block["ommers"] = [
                    {
                        "age": age,
                        "coinbase": "0x" + f"{dice.randrange(4, 8):02x}" * 20,
                        "seconds": dice.randrange(1, 30),
                        "extraData": marked(number - age, "0x6f6d6d6572"),
                    }
                    for age in range(1, dice.randrange(1, place) + 1)
                ]
            blocks.append(block)
    return {
        "chainId": CHAIN_ID,
        "genesis": genesis(),
        "blocks": blocks,
        "difficulties": difficulty_cases(),
    }


def marked(number: int, otherwise: str) -> str:
    """Extra data of a header: the DAO fork's mark where it must be."""
    dao = FORKS.index("dao_fork") * BLOCKS_OF_A_FORK + 1
    return DAO_MARK if dao <= number < dao + 10 else otherwise


def genesis() -> dict[str, Json]:
    """The genesis file in geth's format, without the forks."""
    alloc: dict[str, Json] = {
        account.address.lower(): {"balance": hex(1_000 * ETHER)}
        for account in Wallets(Random(0)).accounts
    }
    alloc |= {address: {"balance": "0x1", "code": code} for address, code in CODES.items()}
    alloc |= {address: {"balance": hex(3 * ETHER)} for address in DAO_ACCOUNTS}
    return {
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x20000",
        "timestamp": "0x0",
        "extraData": "0x",
        "coinbase": "0x" + "00" * 20,
        "alloc": alloc,
    }


def difficulty_cases() -> list[Json]:
    """[fork, number, seconds passed, parent's difficulty, parent has ommers], the bomb included.

    Where there is a bomb, difficulty is far from the least one: EELS adds the bomb first, geth raises to the least one first.
    """
    dice = Random(SEED)
    cases: list[Json] = []
    for fork in FORKS[:-1]:
        for number in (2, 199_999, 200_000, 4_300_000, 11_500_000, 15_200_000):
            for seconds in (1, dice.randrange(1, 30), dice.choice([12, 13, 9, 10]), 2_000):
                difficulty = dice.choice(
                    [131_072, 140_000, 10**13] if number == 2 else [10**9, 10**13]
                )
                cases.append([fork, number, seconds, difficulty, dice.random() < 0.5])
    return cases


def config(terminal_total_difficulty: int) -> dict[str, Json]:
    """The `config` of this chain."""
    found: dict[str, Json] = {"chainId": CHAIN_ID, "daoForkSupport": True, "ethash": {}}
    for index, fork in enumerate(FORKS):
        for key in CONFIG_KEYS.get(fork, ()):
            found[key] = index * BLOCKS_OF_A_FORK + 1
    return found | {"terminalTotalDifficulty": terminal_total_difficulty}
