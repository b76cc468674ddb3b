"""EIP-3076 files, ours and the public tests'."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson
import pytest

from node.consensus.containers import Checkpoint, VoteData
from node.eth.primitives import Epoch, Hash32, Slot
from node.validator.interchange import (
    InterchangeError,
    export_history,
    import_history,
    read_interchange,
)
from node.validator.protection_rules import (
    Permission,
    SigningRecord,
    after_block,
    after_vote,
    judge_block,
    judge_vote,
)
from node.validator.slashing_protection import SlashingProtection

VECTORS: Final = Path(__file__).parents[3].parent / "shared" / "vectors" / "eip3076"
GENESIS: Final = Hash32(bytes(32))
KEY: Final = b"\x11" * 32

FILES: Final = sorted(
    file.name for file in VECTORS.glob("*.json") if file.name != "schema.json"
) or ["absent"]


def checkpoint(epoch: int) -> Checkpoint:
    return Checkpoint(epoch=Epoch(epoch), block_hash=Hash32(bytes(32)))


class VectorSigner:
    """Signs what a vector asks for: one slot an epoch, the signing root stands for the head."""

    def __init__(self, protection: SlashingProtection) -> None:
        self.protection = protection

    def sign_block(self, block: dict[str, str]) -> bool:
        key = bytes.fromhex(block["pubkey"][2:])
        slot = int(block["slot"])
        with self.protection.transaction() as rows:
            record = rows.load(key) or SigningRecord()
            if not judge_block(record, slot):
                return False
            rows.save(key, after_block(record, slot))
        return True

    def sign_attestation(self, attestation: dict[str, str]) -> bool:
        key = bytes.fromhex(attestation["pubkey"][2:])
        target = int(attestation["target_epoch"])
        data = VoteData(
            slot=Slot(target),
            head_hash=Hash32(bytes.fromhex(attestation.get("signing_root", "0x" + "00" * 32)[2:])),
            source=checkpoint(int(attestation["source_epoch"])),
            target=checkpoint(target),
        )
        with self.protection.transaction() as rows:
            record = rows.load(key) or SigningRecord()
            if judge_vote(record, data) is not Permission.SIGN:
                return False
            rows.save(key, after_vote(record, data, b"s" * 64))
        return True


@pytest.mark.parametrize("name", FILES)
def test_public_vectors(name: str, tmp_path: Path) -> None:
    if name == "absent":
        pytest.skip(f"the EIP-3076 vectors are not at {VECTORS}")
    vector = orjson.loads((VECTORS / name).read_bytes())
    genesis_hash = Hash32(bytes.fromhex(vector["genesis_validators_root"][2:]))
    with SlashingProtection(
        tmp_path / "signer.db", genesis_hash=genesis_hash, slots_per_epoch=1
    ) as protection:
        signer = VectorSigner(protection)
        for step in vector["steps"]:
            document = orjson.dumps(step["interchange"])
            if step["should_succeed"]:
                import_history(protection, document)
            else:
                with pytest.raises(InterchangeError):
                    import_history(protection, document)
            for block in step["blocks"]:
                assert signer.sign_block(block) is block["should_succeed"], block
            for attestation in step["attestations"]:
                answer = signer.sign_attestation(attestation)
                assert answer is attestation["should_succeed"], attestation


def history(**changes: object) -> bytes:
    document: dict[str, object] = {
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": "0x" + GENESIS.hex(),
        },
        "data": [
            {
                "pubkey": "0x" + KEY.hex(),
                "signed_blocks": [{"slot": "7"}],
                "signed_attestations": [{"source_epoch": "2", "target_epoch": "3"}],
            }
        ],
    }
    return orjson.dumps(document | changes)


def test_an_imported_target_closes_its_epoch() -> None:
    records = read_interchange(history(), genesis_hash=GENESIS, slots_per_epoch=4)
    assert records == {
        KEY: SigningRecord(
            last_block_slot=7, last_vote_slot=15, max_source_epoch=2, last_target_epoch=3
        )
    }


def test_what_is_exported_binds_whoever_imports_it(tmp_path: Path) -> None:
    # Given a key that voted for epoch 2 and then, in epoch 3, for a head alone
    linked = VoteData(slot=Slot(9), head_hash=GENESIS, source=checkpoint(1), target=checkpoint(2))
    alone = VoteData(slot=Slot(12), head_hash=GENESIS, source=None, target=None)
    record = after_vote(after_vote(SigningRecord(), linked, b"s" * 64), alone, b"s" * 64)
    record = after_block(record, 11)

    # When its history moves to another database
    with SlashingProtection(None, genesis_hash=GENESIS, slots_per_epoch=4) as old:
        with old.transaction() as rows:
            rows.save(KEY, record)
        document = export_history(old)
    with SlashingProtection(tmp_path / "new.db", genesis_hash=GENESIS, slots_per_epoch=4) as new:
        assert import_history(new, document) == 1
        moved = new.records()[KEY]

    # Then nothing up to the end of epoch 3 can be signed there
    assert moved == SigningRecord(
        last_block_slot=11, last_vote_slot=15, max_source_epoch=1, last_target_epoch=3
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"{", "the file: Invalid JSON"),
        (b"[]", "the file: Input should be"),
        (
            history(metadata={"interchange_format_version": "4", "genesis_validators_root": "0x"}),
            "metadata.interchange_format_version is '4', want '5'",
        ),
        (
            history(
                metadata={"interchange_format_version": "5", "genesis_validators_root": "0x11"}
            ),
            "metadata.genesis_validators_root is 0x11, this chain's genesis hash is 0x000",
        ),
        (
            history(data=[{"pubkey": "zz", "signed_blocks": [], "signed_attestations": []}]),
            "data.0.pubkey: 'zz' is no 0x-prefixed hex string",
        ),
        (
            history(data=[{"pubkey": "0x1", "signed_blocks": [], "signed_attestations": []}]),
            "data.0.pubkey: '0x1' is no 0x-prefixed hex string",
        ),
        (
            history(
                data=[
                    {"pubkey": "0x11", "signed_blocks": [{"slot": "-1"}], "signed_attestations": []}
                ]
            ),
            "data.0.signed_blocks.0.slot: '-1' is no decimal number",
        ),
        (
            history(
                data=[
                    {
                        "pubkey": "0x11",
                        "signed_blocks": [{"slot": "9" * 19}],
                        "signed_attestations": [],
                    }
                ]
            ),
            "is beyond every slot and epoch",
        ),
        (
            history(data=[{"pubkey": "0x11", "signed_blocks": [], "signed_attestations": [{}]}]),
            "data.0.signed_attestations.0.source_epoch: Field required",
        ),
    ],
)
def test_a_bad_file_is_refused_whole(document: bytes, expected: str) -> None:
    with SlashingProtection(None, genesis_hash=GENESIS, slots_per_epoch=2) as protection:
        with pytest.raises(InterchangeError) as caught:
            import_history(protection, document)
        assert expected in str(caught.value)
        assert protection.records() == {}
