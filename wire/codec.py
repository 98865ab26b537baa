"""One spelling per value: deterministic CBOR, and a decoder that takes nothing else.

Whoever signs or hashes bytes must be sure that there is one form only. cbor2 decodes double keys,
trailing bytes and long-winded integers; therefore what was decoded is encoded again and compared.

Allowed: integers that fit in 64 bits, byte strings, text, true, false, null, lists, and maps whose
keys are integers from 0. No floats, no tags, no indefinite lengths (docs/protocol.md §2.1).

Source: RFC 8949 §4.2.1.
"""

import io
import unicodedata
from typing import Final, TypeAlias

import cbor2

from wire.errors import Malformed

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int, Value] | None"

MAX_DEPTH: Final = 8
"""Lists and maps inside each other. Our deepest message has five; a parser bomb has thousands."""

_BREAK: Final = 0x1F


def encode(value: Value) -> bytes:
    """Return the one encoding of `value`.

    Raises:
        ValueError: `value` holds something outside the allowed set.
    """
    return cbor2.dumps(_ordered(value, depth=0))


def decode(data: bytes, *, limit: int) -> Value:
    """Return the value that `data` encodes.

    Args:
        data: the bytes received.
        limit: the most bytes that this place of the protocol allows.

    Raises:
        Malformed: too long, not CBOR, not in its one spelling, or outside the allowed set.
    """
    if len(data) > limit:
        raise Malformed(f"{len(data)} bytes where at most {limit} are allowed")
    _check_depth(data)
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream).decode()
        spelled = encode(value)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(f"not canonical CBOR: {error}") from None
    if spelled != data:
        raise Malformed("not canonical CBOR: another spelling of the same value")
    result: Value = value
    return result


def _ordered(value: object, *, depth: int) -> object:
    if depth >= MAX_DEPTH and isinstance(value, list | dict):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, str):
        if unicodedata.normalize("NFC", value) != value:
            raise ValueError("text that is not in normal form C")
        return value
    if isinstance(value, int):
        if not -(1 << 63) <= value < (1 << 64):
            raise ValueError("an integer of more than 64 bits")
        return value
    if isinstance(value, list):
        return [_ordered(part, depth=depth + 1) for part in value]
    if isinstance(value, dict):
        # Keys are non-negative integers, whose encodings sort as the numbers do.
        if not all(type(key) is int and 0 <= key < (1 << 64) for key in value):
            raise ValueError("a map key that is no integer from 0 of at most 64 bits")
        return {key: _ordered(value[key], depth=depth + 1) for key in sorted(value)}
    raise ValueError(f"a {type(value).__name__} has no place in a message")


def _check_depth(data: bytes) -> None:
    """Refuse, before cbor2 sees it, what nests too deeply, lies about a length or has a tag."""
    position, open_counts = 0, [1]
    while open_counts:
        open_counts[-1] -= 1
        if position >= len(data):
            raise Malformed("not canonical CBOR: it ends too early")
        major, argument, position = _head(data, position)
        if major in (2, 3):
            position += argument
            if position > len(data):
                raise Malformed("not canonical CBOR: a length beyond the end")
        elif major in (4, 5):
            count = argument * (2 if major == 5 else 1)
            if count > len(data) - position:
                raise Malformed("not canonical CBOR: more elements than bytes")
            open_counts.append(count)
            if len(open_counts) > MAX_DEPTH + 1:
                raise Malformed(f"nested deeper than {MAX_DEPTH}")
        elif major == 6 or (major == 7 and argument not in (20, 21, 22)):
            raise Malformed("not canonical CBOR: a tag, a float or an unknown simple value")
        while open_counts and open_counts[-1] == 0:
            open_counts.pop()
    if position != len(data):
        raise Malformed("not canonical CBOR: bytes after the end")


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    major, low = data[position] >> 5, data[position] & _BREAK
    position += 1
    if low < 24:
        return major, low, position
    if low > 27:
        raise Malformed("not canonical CBOR: an indefinite or reserved length")
    size = 1 << (low - 24)
    if position + size > len(data):
        raise Malformed("not canonical CBOR: it ends too early")
    argument = int.from_bytes(data[position : position + size], "big")
    if major == 7:
        raise Malformed("not canonical CBOR: a tag, a float or an unknown simple value")
    return major, argument, position + size
