# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Length of data that FastLZ compressed
@license MIT
@author Faultline
@notice What the L1 fee since Fjord is reckoned from: how long a transaction would be after FastLZ, at level 1.
        Execution counts with `flz_compress_len` of op-revm; this is the same count, quirks included, so that what is
        asked for in advance is what is charged. One function, because Vyper copies what it passes on.
"""


# @dev Longest input; more than any transaction of the L2 has.
DATA_MAX: constant(uint256) = 32_768


# @dev Input and one word behind it, so that words can be read to its end.
_PADDED_MAX: constant(uint256) = DATA_MAX + 32


# @dev Bytes at the end among which no match begins.
_TAIL: constant(uint256) = 13


# @dev Places of the table that remembers where three bytes were seen last: 8,192, eight to a word.
_TABLE_WORDS: constant(uint256) = 1_024


# @dev Lowest 32 bits: a place in the input.
_PLACE_MASK: constant(uint256) = 4_294_967_295


# @dev Farthest that a match may lie back.
_DISTANCE_MAX: constant(uint256) = 8_192


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@pure
def _compressed_length(data: Bytes[DATA_MAX]) -> uint256:
    """
    @dev How many bytes FastLZ would make of some.
    @param data The bytes.
    @return uint256 Number of bytes.
    """
    length: uint256 = len(data)
    padded: Bytes[_PADDED_MAX] = concat(data, empty(bytes32))
    limit: uint256 = length - min(length, _TAIL)
    table: uint256[_TABLE_WORDS] = empty(uint256[_TABLE_WORDS])
    place: uint256 = 2
    anchor: uint256 = 0
    size: uint256 = 0
    for _: uint256 in range(DATA_MAX):
        if place >= limit:
            break

        # Look for three bytes that were seen before.
        earlier: uint256 = 0
        for _step: uint256 in range(DATA_MAX):
            three: uint256 = convert(extract32(padded, place), uint256) >> 232
            entry: uint256 = self._entry(three)
            offset: uint256 = (entry & 7) << 5
            row: uint256 = table[entry >> 3]
            earlier = (row >> offset) & _PLACE_MASK
            table[entry >> 3] = (row & ~(_PLACE_MASK << offset)) | (place << offset)
            if place >= limit:
                break
            distance: uint256 = place - earlier
            place += 1
            if distance < _DISTANCE_MAX and three == convert(extract32(padded, earlier), uint256) >> 232:
                break
        if place >= limit:
            break
        place -= 1
        if place > anchor:
            size = self._with_literals(place - anchor, size)

        # See how far the bytes agree. The byte that differs is counted as well, as the reference does.
        most: uint256 = limit + 9 - (place + 3)
        agreeing: uint256 = 0
        for _run: uint256 in range(DATA_MAX // 32 + 1):
            there: bytes32 = extract32(padded, earlier + 3 + agreeing)
            here: bytes32 = extract32(padded, place + 3 + agreeing)
            difference: uint256 = convert(there, uint256) ^ convert(here, uint256)
            if difference != 0:
                agreeing += self._zero_bytes(difference) + 1
                break
            agreeing += 32
            if agreeing >= most:
                break
        agreeing = min(agreeing, most)
        size = self._with_match(agreeing, size)

        # Remember the two places behind the match.
        place += agreeing
        for _next: uint256 in range(2):
            entry: uint256 = self._entry(convert(extract32(padded, place), uint256) >> 232)
            offset: uint256 = (entry & 7) << 5
            table[entry >> 3] = (table[entry >> 3] & ~(_PLACE_MASK << offset)) | (place << offset)
            place += 1
        anchor = place
    return self._with_literals(length - anchor, size)


@internal
@pure
def _entry(three: uint256) -> uint256:
    """
    @dev Where the table keeps three bytes.
    @param three The bytes, the first one highest.
    @return uint256 The place, 0 to 8,191.
    """
    # FastLZ reads them the other way round.
    little: uint256 = (three >> 16) | (three & 65_280) | ((three & 255) << 16)
    return ((little * 2_654_435_769) >> 19) & 8_191


@internal
@pure
def _zero_bytes(word: uint256) -> uint256:
    """
    @dev How many bytes of a word are zero before the first that is not.
    @param word The word, not zero.
    @return uint256 The number, 0 to 31.
    """
    zeros: uint256 = 0
    rest: uint256 = word
    if rest >> 128 == 0:
        zeros += 16
        rest <<= 128
    if rest >> 192 == 0:
        zeros += 8
        rest <<= 64
    if rest >> 224 == 0:
        zeros += 4
        rest <<= 32
    if rest >> 240 == 0:
        zeros += 2
        rest <<= 16
    if rest >> 248 == 0:
        zeros += 1
    return zeros


@internal
@pure
def _with_literals(count: uint256, size: uint256) -> uint256:
    """
    @dev The output's length after bytes that match nothing: runs of up to 32, each behind one byte.
    @param count How many bytes.
    @param size The length before.
    @return uint256 The length.
    """
    longer: uint256 = size + 33 * (count // 32)
    if count % 32 != 0:
        longer += count % 32 + 1
    return longer


@internal
@pure
def _with_match(agreeing: uint256, size: uint256) -> uint256:
    """
    @dev The output's length after a match.
    @param agreeing What was counted behind the first three bytes.
    @param size The length before.
    @return uint256 The length.
    """
    further: uint256 = agreeing - 1
    longer: uint256 = size + 3 * (further // 262)
    if further % 262 >= 6:
        return longer + 3
    return longer + 2
