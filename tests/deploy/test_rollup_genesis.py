"""A new rollup's genesis, judged by the rules and by the native engine."""

from __future__ import annotations

import orjson
import pytest

from deploy.accounts import ACCOUNT_BALANCE_WEI
from deploy.creation import genesis_output
from deploy.derivation import mnemonic_accounts
from deploy.genesis import BASE_FEE_WEI, new_documents
from deploy.keys import RollupSecrets, ValidatorSecret, new_rollup, new_validator
from deploy.manifest import Manifest
from deploy.published import L2_PREDEPLOYS, checksummed, contracts
from deploy.rollup_genesis import (
    BATCHER_BALANCE_WEI,
    CHALLENGER_BALANCE_WEI,
    FORCER_BALANCE_WEI,
    GUARDIAN_BALANCE_WEI,
    PROPOSER_BALANCE_WEI,
    RELAYER_BALANCE_WEI,
    l2_genesis,
    l2_supply_wei,
    rollup_parameters,
)
from deploy.sections import L2Section
from node.contracts.abi import encode_call
from node.contracts.addresses import (
    ANCHOR_STATE_REGISTRY,
    DISPUTE_GAME_FACTORY,
    INBOX,
    L1_BLOCK,
    MESSAGE_PASSER,
    NATIVE_FAULT_GAME,
    PORTAL,
    SYSTEM_CONFIG,
)
from node.contracts.disputes import GAME_TYPE
from node.eth.headers import header_bytes_of_block, header_of_block
from node.eth.primitives import Address, Hash32
from node.execution.adapter import RevmEngine
from node.rollup.headers import genesis_header
from node.rollup.parameters import parse, parse_l2_genesis_hash

START = 1_800_000_000
MANIFEST = Manifest(
    l2=L2Section(gas_limit=6_000_000, base_fee_wei=7, sequencing_window_blocks=9, max_drift_s=99)
)
ACCOUNTS = mnemonic_accounts(10)

Documents = tuple[dict[str, object], dict[str, object]]


@pytest.fixture(scope="module")
def validators() -> list[ValidatorSecret]:
    return [new_validator() for _ in range(2)]


@pytest.fixture(scope="module")
def secrets() -> RollupSecrets:
    return new_rollup(["replica", "replica-2"])


@pytest.fixture(scope="module")
def documents(validators: list[ValidatorSecret], secrets: RollupSecrets) -> Documents:
    return made(MANIFEST, validators, secrets)


def made(
    manifest: Manifest, validators: list[ValidatorSecret], secrets: RollupSecrets
) -> Documents:
    l1, l2 = new_documents(manifest, validators, secrets, ACCOUNTS, START, genesis_output)
    assert l2 is not None
    # As the files hold them.
    return orjson.loads(orjson.dumps(l1)), orjson.loads(orjson.dumps(l2))


def test_both_documents_name_the_same_rules(documents: Documents, secrets: RollupSecrets) -> None:
    l1, l2 = documents
    parameters = parse(l2["rollup"])
    assert parse(l1["rollup"]) == parameters == rollup_parameters(MANIFEST, secrets)
    assert parameters.gas_limit == 6_000_000
    assert parameters.base_fee_wei == 7
    assert parameters.sequencing_window_blocks == 9
    assert parameters.max_drift_seconds == 99
    assert parameters.sequencer_key == secrets.sequencer_key
    assert checksummed(parameters.batcher) == secrets.batcher_account.address
    assert parse_l2_genesis_hash(l1["rollup"]) == genesis_output(l2).block_hash
    assert l1["timestamp"] == l2["timestamp"]


def test_the_engine_builds_the_block_that_the_rules_say(documents: Documents) -> None:
    _, l2 = documents
    engine = RevmEngine(orjson.dumps(l2))
    block = engine.genesis()
    header = header_of_block(block.block)
    passer = engine.account(block.state_root, MESSAGE_PASSER)
    assert passer is not None
    timestamp = l2["timestamp"]
    assert isinstance(timestamp, str)
    wanted = genesis_header(
        parse(l2["rollup"]),
        int(timestamp, 16),
        Hash32(block.state_root),
        Hash32(passer.storage_root),
    )
    assert header == wanted
    assert block.block_hash == wanted.hash()


def test_what_l2_prefunds_the_portal_holds(documents: Documents) -> None:
    _, l2 = documents
    l1_engine, l2_engine = (RevmEngine(orjson.dumps(document)) for document in documents)
    portal = l1_engine.account(l1_engine.genesis().state_root, PORTAL)
    assert portal is not None
    assert portal.balance == l2_supply_wei(l2) == 11 * ACCOUNT_BALANCE_WEI
    for account in ACCOUNTS:
        found = l2_engine.account(
            l2_engine.genesis().state_root, bytes.fromhex(account.address[2:])
        )
        assert found is not None
        assert found.balance == ACCOUNT_BALANCE_WEI


def test_who_pays_for_the_rollup_on_l1_has_money_there(
    documents: Documents, secrets: RollupSecrets
) -> None:
    l1, l2 = documents
    assert isinstance(l1["alloc"], dict)
    assert isinstance(l2["alloc"], dict)
    batcher = secrets.batcher_account.address
    assert int(l1["alloc"][batcher]["balance"], 16) == BATCHER_BALANCE_WEI
    assert len(secrets.forcer_accounts) == 2
    for forcer in secrets.forcer_accounts:
        assert int(l1["alloc"][forcer.address]["balance"], 16) == FORCER_BALANCE_WEI
        assert forcer.address not in l2["alloc"]
    for account, balance_wei in (
        (secrets.proposer_account, PROPOSER_BALANCE_WEI),
        (secrets.relayer_account, RELAYER_BALANCE_WEI),
        (secrets.challenger_account, CHALLENGER_BALANCE_WEI),
        (secrets.guardian_account, GUARDIAN_BALANCE_WEI),
    ):
        assert int(l1["alloc"][account.address]["balance"], 16) == balance_wei
        assert account.address not in l2["alloc"]


def test_every_contract_that_is_told_has_code(documents: Documents) -> None:
    for layer, document in zip(contracts(with_l2=True).values(), documents, strict=True):
        engine = RevmEngine(orjson.dumps(document))
        root = engine.genesis().state_root
        for name, address in layer.items():
            assert engine.code(root, bytes.fromhex(address[2:])), name


def test_the_inbox_knows_its_batcher_and_l1_block_its_fees(
    documents: Documents, secrets: RollupSecrets
) -> None:
    l1, l2 = documents
    inbox = RevmEngine(orjson.dumps(l1))
    code = inbox.code(inbox.genesis().state_root, INBOX)
    assert bytes.fromhex(secrets.batcher_account.address[2:]) in code
    assert isinstance(l2["alloc"], dict)
    storage = l2["alloc"]["0x" + L1_BLOCK.hex()]["storage"]
    assert int(storage[f"0x{1:064x}"], 16) == BASE_FEE_WEI


def test_the_bridge_begins_with_the_l2s_genesis_and_the_manifests_windows(
    documents: Documents, secrets: RollupSecrets
) -> None:
    l1, l2 = documents
    engine = RevmEngine(orjson.dumps(l1))
    parameters, output = parse(l2["rollup"]), genesis_output(l2)
    anchor = read(engine, ANCHOR_STATE_REGISTRY, "getAnchorRoot()")
    assert anchor == output.root() + bytes(32)
    code: bytes = engine.code(engine.genesis().state_root, NATIVE_FAULT_GAME)
    assert code.find(parameters.config_hash()) > 0
    guardian = secrets.guardian_account.address
    assert read(engine, SYSTEM_CONFIG, "guardian()")[12:] == bytes.fromhex(guardian[2:])
    numbers = {
        (PORTAL, "proofMaturityDelaySeconds()"): 26,
        (PORTAL, "disputeGameFinalityDelaySeconds()"): 4,
        (DISPUTE_GAME_FACTORY, "initBonds(uint32)"): 10**18,
        (DISPUTE_GAME_FACTORY, "gameCount()"): 0,
    }
    for (address, signature), wanted in numbers.items():
        assert int.from_bytes(read(engine, address, signature)) == wanted, signature


def read(engine: RevmEngine, address: Address, signature: str) -> bytes:
    """What a contract of genesis answers; a parameter is the type of the games."""
    arguments = [GAME_TYPE] if "uint32" in signature else []
    request = {"to": "0x" + address.hex(), "data": "0x" + encode_call(signature, *arguments).hex()}
    genesis = engine.genesis()
    answer = engine.call(
        genesis.state_root,
        header_bytes_of_block(genesis.block),
        b"",
        orjson.dumps(request),
        gas_cap=1_000_000,
    )
    assert answer.status == "success"
    return answer.output


def test_the_same_keys_give_the_same_l2_whatever_l1_is(
    validators: list[ValidatorSecret], secrets: RollupSecrets, documents: Documents
) -> None:
    l1, l2 = documents
    assert made(MANIFEST, validators, secrets) == (l1, l2)
    other_l1, other_l2 = made(MANIFEST, validators[:1], secrets)
    assert other_l1 != l1
    assert other_l2 == l2
    third = made(MANIFEST, validators, new_rollup(["replica", "replica-2"]))
    assert genesis_output(third[1]).block_hash != genesis_output(l2).block_hash


def test_every_constant_is_in_the_l2s_hash_or_its_document(secrets: RollupSecrets) -> None:
    parameters = rollup_parameters(MANIFEST, secrets)
    other = rollup_parameters(Manifest(), secrets)
    assert parameters.config_hash() != other.config_hash()
    document = l2_genesis(other, ACCOUNTS, time=START, l1_base_fee_wei=BASE_FEE_WEI)
    assert document["rollup"] == other.document()


def test_a_manifest_without_l2_gives_no_rollup(
    validators: list[ValidatorSecret], secrets: RollupSecrets
) -> None:
    manifest = Manifest(l2=L2Section(enabled=False))
    l1, l2 = new_documents(manifest, validators, secrets, ACCOUNTS, START, genesis_output)
    assert l2 is None
    assert "rollup" not in l1
    assert isinstance(l1["alloc"], dict)
    assert not {"0x" + INBOX.hex(), secrets.batcher_account.address} & set(l1["alloc"])


def test_predeploys_have_names_of_their_own() -> None:
    named = contracts(with_l2=True)
    assert set(L2_PREDEPLOYS) <= set(named["l2"])
    assert len(set(named["l2"].values())) == len(named["l2"])
