"""Why bytes are not an Ethereum object: the rejections of every decoder in this package."""

from __future__ import annotations

from enum import StrEnum


class EncodingReason(StrEnum):
    """One name for each way in which bytes fail to encode what was asked for; stable, counted and logged."""

    TRUNCATED = "encoding_truncated"
    """The bytes end before the item does."""
    TRAILING = "encoding_trailing"
    """Bytes follow the item."""
    NOT_CANONICAL = "encoding_not_canonical"
    """A shorter encoding of the same value exists."""
    TOO_LARGE = "encoding_too_large"
    """More bytes than this object may have."""
    TOO_DEEP = "encoding_too_deep"
    """Lists are nested deeper than any object of ours."""
    TOO_MANY_ITEMS = "encoding_too_many_items"
    """More items than this object may have."""
    WRONG_TYPE = "encoding_wrong_type"
    """A list where bytes belong, or the other way round."""
    WRONG_LENGTH = "encoding_wrong_length"
    """Another number of bytes or items than the object has."""
    OUT_OF_RANGE = "encoding_out_of_range"
    """A number wider than its field."""
    REQUEST_ORDER = "request_order"
    """EIP-7685 request types that do not ascend, or an empty request."""
