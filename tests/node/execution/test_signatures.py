"""Ed25519 as consensus has it: strict, malformed input is invalid, lists answer in order."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.execution.adapter import verify_signatures

ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group."""


def signed(seed: int, message: bytes) -> tuple[bytes, bytes, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    return key.public_key().public_bytes_raw(), message, key.sign(message)


def test_lists_answer_in_order() -> None:
    """Given good and bad signatures, when verified together, then each has its own answer."""
    items = [signed(seed, b"vote %d" % seed) for seed in range(100)]
    bad = set(range(0, 100, 7))
    mixed = [
        (key, b"another" if place in bad else message, signature)
        for place, (key, message, signature) in enumerate(items)
    ]
    assert verify_signatures(mixed) == [place not in bad for place in range(100)]
    assert verify_signatures([]) == []


def test_malformed_input_is_invalid() -> None:
    key, message, signature = signed(1, b"x")
    assert (
        verify_signatures(
            [
                (key[:-1], message, signature),
                (key + b"\0", message, signature),
                (key, message, signature[:-1]),
                (key, message, b""),
                (b"", b"", b""),
                (b"\xff" * 32, message, signature),
            ]
        )
        == [False] * 6
    )


def test_a_signature_has_one_form() -> None:
    """Given s plus the order of the group, when verified, then it is refused."""
    key, message, signature = signed(2, b"x")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert verify_signatures([(key, message, signature[:32] + s.to_bytes(32, "little"))]) == [False]


@pytest.mark.parametrize(
    "point",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ],
)
def test_points_of_small_order_sign_nothing(point: str) -> None:
    """Given a key or an R of small order, which lenient verifiers accept for any message, when verified, then no."""
    small = bytes.fromhex(point)
    identity = bytes.fromhex("01" + "00" * 31)
    key, message, _ = signed(3, b"x")
    assert (
        verify_signatures(
            [
                (small, message, identity + bytes(32)),
                (small, message, small + bytes(32)),
                (key, message, small + bytes(32)),
            ]
        )
        == [False] * 3
    )
