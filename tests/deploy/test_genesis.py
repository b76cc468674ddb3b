"""A new network's genesis, judged by consensus and by the native engine."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from eth_account import Account as EthAccount
from eth_account.hdaccount import ETHEREUM_DEFAULT_PATH

from deploy.accounts import ACCOUNT_BALANCE_WEI
from deploy.derivation import DERIVATION_PATH, TEST_MNEMONIC, mnemonic_accounts
from deploy.genesis import DEPOSIT_CONTRACT, GAS_LIMIT, new_genesis, zero_hashes
from deploy.keys import ValidatorSecret, new_validator
from deploy.manifest import Manifest
from deploy.published import PublishedContract, published_contracts
from deploy.sections import NetworkSection
from node.consensus.genesis import genesis_state, parse
from node.consensus.randao import onion_layer
from node.eth.hashing import keccak256
from node.eth.headers import header_bytes_of_block, header_of_block
from node.eth.primitives import Address, Hash32
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockAttributes

START = 1_800_000_000
SLOT_SECONDS = 3
MANIFEST = Manifest(network=NetworkSection(slot_seconds=SLOT_SECONDS, slots_per_epoch=4))
DEPOSIT_SELECTOR = keccak256(b"deposit(bytes,bytes,bytes,bytes32)")[:4]
DEPOSIT_TOPIC = keccak256(b"DepositEvent(bytes,bytes,bytes,bytes,bytes)")
STAKE_GWEI = 32 * 10**9


@pytest.fixture(scope="module")
def validators() -> list[ValidatorSecret]:
    return [new_validator() for _ in range(5)]


@pytest.fixture(scope="module")
def document(validators: list[ValidatorSecret]) -> dict[str, object]:
    return new_genesis(MANIFEST, validators, mnemonic_accounts(10), START)


@pytest.fixture(scope="module")
def engine(document: dict[str, object]) -> RevmEngine:
    return RevmEngine(orjson.dumps(document))


def test_consensus_reads_it_back(
    document: dict[str, object], validators: list[ValidatorSecret]
) -> None:
    genesis = parse(orjson.loads(orjson.dumps(document)))
    assert genesis.time == START - 4 * SLOT_SECONDS
    assert genesis.chain_id == 900
    assert genesis.parameters.slots_per_epoch == 4
    assert genesis.parameters.lookahead_slots == 8
    assert [entry.public_key for entry in genesis.validators] == [
        validator.public_key for validator in validators
    ]
    for entry, validator in zip(genesis.validators, validators, strict=True):
        assert entry.commitment == keccak256(onion_layer(validator.onion_seed, 0, 32))
    assert document["extraData"] == "0x" + genesis.extra_data.hex()
    assert genesis_state(genesis, Hash32(bytes(32))).finalized.epoch == 0


def test_the_engine_builds_its_block(document: dict[str, object], engine: RevmEngine) -> None:
    block = engine.genesis()
    header = header_of_block(block.block)
    assert "0x" + header.extra_data.hex() == document["extraData"]
    assert header.timestamp == START - 4 * SLOT_SECONDS
    assert header.gas_limit == GAS_LIMIT
    assert header.number == 0
    assert header.difficulty == 0


def test_accounts_and_address_zero_are_funded(engine: RevmEngine) -> None:
    root = engine.genesis().state_root
    for account in mnemonic_accounts(10):
        found = engine.account(root, bytes.fromhex(account.address[2:]))
        assert found is not None
        assert found.balance == ACCOUNT_BALANCE_WEI
    nobody = engine.account(root, bytes(20))
    assert nobody is not None
    assert nobody.balance > 0


def test_every_published_contract_has_its_code(engine: RevmEngine) -> None:
    root = engine.genesis().state_root
    for contract in published_contracts():
        code = engine.code(root, bytes.fromhex(contract.address[2:]))
        assert "0x" + code.hex() == contract.code
        assert "0x" + keccak256(code).hex() == contract.code_hash


@pytest.mark.parametrize("contract", published_contracts(), ids=lambda contract: contract.name)
def test_addresses_are_checksummed(contract: PublishedContract) -> None:
    address = contract.address
    digits = address[2:].lower()
    digest = keccak256(digits.encode()).hex()
    checked = "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter
        for letter, nibble in zip(digits, digest, strict=False)
    )
    assert address == "0x" + checked


def test_zero_hashes_are_the_roots_of_empty_trees() -> None:
    hashes = zero_hashes()
    assert hashes[0] == bytes(32)
    assert hashes[1] == hashlib.sha256(bytes(64)).digest()
    assert len(hashes) == 32


def test_the_empty_deposit_root_is_the_published_one(engine: RevmEngine) -> None:
    # get_deposit_root() of mainnet's contract before its first deposit.
    answer = call(engine, DEPOSIT_CONTRACT, keccak256(b"get_deposit_root()")[:4])
    assert answer.hex() == "d70a234731285c6804c2a4f56711ddb8c82c99740f207854891028af34e27e5e"


def test_a_deposit_emits_the_log_and_becomes_a_request(engine: RevmEngine) -> None:
    # Given a block with a deposit of the first funded account
    [depositor] = mnemonic_accounts(1)
    public_key, credentials, signature = b"\1" * 32 + bytes(16), b"\2" * 32, b"\3" * 96
    transaction = EthAccount.sign_transaction(
        {
            "chainId": 900,
            "type": 2,
            "nonce": 0,
            "to": DEPOSIT_CONTRACT,
            "value": STAKE_GWEI * 10**9,
            "gas": 500_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 1,
            "data": deposit_call(public_key, credentials, signature),
        },
        depositor.private_key,
    )
    genesis = engine.genesis()
    # When it is built
    attributes = BlockAttributes(
        timestamp=START,
        fee_recipient=Address(bytes(20)),
        prev_randao=Hash32(bytes(32)),
        gas_limit=GAS_LIMIT,
        parent_beacon_block_root=Hash32(bytes(32)),
        withdrawals=(),
    )
    builder = engine.builder(header_bytes_of_block(genesis.block), attributes, genesis.block_hash)
    [outcome] = builder.push([bytes(transaction.raw_transaction)])
    assert (outcome.included, outcome.reason) == (True, "")
    result = builder.seal(b"")
    # Then the contract has logged it, and the block carries the EIP-6110 request
    [receipt] = orjson.loads(engine.receipts_json(result.block, result.receipts))
    assert receipt["status"] == "0x1"
    [log] = receipt["logs"]
    assert log["topics"] == ["0x" + DEPOSIT_TOPIC.hex()]
    amount = STAKE_GWEI.to_bytes(8, "little")
    assert result.requests == [b"\0" + public_key + credentials + amount + signature + bytes(8)]


def test_ten_accounts_are_those_that_every_tool_knows() -> None:
    EthAccount.enable_unaudited_hdwallet_features()
    for index, account in enumerate(mnemonic_accounts(10)):
        known = EthAccount.from_mnemonic(
            TEST_MNEMONIC, account_path=DERIVATION_PATH.format(index=index)
        )
        assert (account.address, account.private_key) == (known.address, "0x" + known.key.hex())
    assert DERIVATION_PATH.format(index=0) == ETHEREUM_DEFAULT_PATH
    assert mnemonic_accounts(1)[0].address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def call(engine: RevmEngine, to: str, data: bytes) -> bytes:
    genesis = engine.genesis()
    request = orjson.dumps({"to": to, "data": "0x" + data.hex()})
    answer = engine.call(
        genesis.state_root, header_bytes_of_block(genesis.block), b"", request, gas_cap=10_000_000
    )
    assert answer.status == "success"
    return answer.output


def deposit_call(public_key: bytes, credentials: bytes, signature: bytes) -> bytes:
    """ABI-encode deposit(pubkey, withdrawal_credentials, signature, deposit_data_root)."""
    root = deposit_root(public_key, credentials, signature)
    heads = [0x80, 0xE0, 0x120]
    parts = [offset.to_bytes(32) for offset in heads] + [root]
    for value in (public_key, credentials, signature):
        padded = value + bytes(-len(value) % 32)
        parts += [len(value).to_bytes(32), padded]
    return DEPOSIT_SELECTOR + b"".join(parts)


def deposit_root(public_key: bytes, credentials: bytes, signature: bytes) -> bytes:
    """hash_tree_root(DepositData), as the deposit contract recomputes it."""

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    key_root = sha(public_key + bytes(16))
    signature_root = sha(sha(signature[:64]) + sha(signature[64:] + bytes(32)))
    amount = STAKE_GWEI.to_bytes(8, "little")
    return sha(sha(key_root + credentials) + sha(amount + bytes(24) + signature_root))
