"""One spelling per value: deterministic CBOR, and a decoder that takes nothing else.

Whoever signs or hashes bytes must be sure that there is one form only. cbor2 decodes double keys,
trailing bytes and long-winded integers; therefore messages are read here, in one pass that refuses
whatever `encode` would have written otherwise. A test compares it with the slow way: decode with
cbor2, encode again, compare.

Allowed: integers that fit in 64 bits, byte strings, text, true, false, null, lists, and maps whose
keys are integers from 0. No floats, no tags, no indefinite lengths (docs/protocol.md §2.1).

Source: RFC 8949 §4.2.1.
"""

import unicodedata
from typing import Final, TypeAlias

import cbor2

from wire.errors import Malformed

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int, Value] | None"

MAX_DEPTH: Final = 8
"""Lists and maps inside each other. Our deepest message has five; a parser bomb has thousands."""

_BREAK: Final = 0x1F
_LONG: Final = 24
"""From here on the argument stands in the bytes that follow."""
_NUMBER, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_SIMPLE_VALUES: Final = {20: False, 21: True, 22: None}


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
    try:
        value, end = _read(data, 0, 0)
    except IndexError:
        raise Malformed("not canonical CBOR: it ends too early") from None
    if end != len(data):
        raise Malformed("not canonical CBOR: bytes after the end")
    return value


def _ordered(value: object, *, depth: int) -> object:
    if type(value) is bytes or type(value) is bool or value is None:
        return value
    if type(value) is int:
        if not -(1 << 63) <= value < (1 << 64):
            raise ValueError("an integer of more than 64 bits")
        return value
    if type(value) is str:
        if not value.isascii() and unicodedata.normalize("NFC", value) != value:
            raise ValueError("text that is not in normal form C")
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if type(value) is list:
        return [_ordered(part, depth=depth + 1) for part in value]
    if type(value) is dict:
        # Keys are non-negative integers, whose encodings sort as the numbers do.
        if not all(type(key) is int and 0 <= key < (1 << 64) for key in value):
            raise ValueError("a map key that is no integer from 0 of at most 64 bits")
        return {key: _ordered(value[key], depth=depth + 1) for key in sorted(value)}
    if isinstance(value, int):  # an IntEnum is written as its number
        return _ordered(int(value), depth=depth)
    raise ValueError(f"a {type(value).__name__} has no place in a message")


def _read(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    """Return the value that begins at `position`, and where it ends."""
    head = data[position]
    major, argument = head >> 5, head & _BREAK
    position += 1
    if argument >= _LONG:
        argument, position = _long(data, position, major=major, low=argument)
    if major == _BYTES:
        end = position + argument
        if end > len(data):
            raise Malformed("not canonical CBOR: a length beyond the end")
        return data[position:end], end
    if major == _NUMBER:
        return argument, position
    if major == _TEXT:
        return _text(data, position, argument), position + argument
    if major in (_LIST, _MAP):
        if depth >= MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH}")
        if argument > len(data) - position:
            raise Malformed("not canonical CBOR: more elements than bytes")
        if major == _MAP:
            return _map(data, position, argument, depth + 1)
        found = []
        for _ in range(argument):
            one, position = _read(data, position, depth + 1)
            found.append(one)
        return found, position
    if major == _NEGATIVE and argument < (1 << 63):
        return -1 - argument, position
    if major == _SIMPLE and argument in _SIMPLE_VALUES:
        return _SIMPLE_VALUES[argument], position
    raise Malformed("not canonical CBOR: a tag, a float, or a value that no message has")


def _long(data: bytes, position: int, *, major: int, low: int) -> tuple[int, int]:
    """Return an argument of one to eight bytes, and where it ends."""
    if low > _LONG + 3 or major == _SIMPLE:
        raise Malformed("not canonical CBOR: an indefinite length or a float")
    size = 1 << (low - _LONG)
    end = position + size
    argument = data[position] if size == 1 else int.from_bytes(data[position:end], "big")
    if end > len(data):
        raise Malformed("not canonical CBOR: it ends too early")
    if argument < (_LONG if size == 1 else 1 << (4 * size)):
        raise Malformed("not canonical CBOR: another spelling of the same value")
    return argument, end


def _text(data: bytes, position: int, size: int) -> str:
    if size > len(data) - position:
        raise Malformed("not canonical CBOR: a length beyond the end")
    try:
        text = data[position : position + size].decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not canonical CBOR: text that is not UTF-8") from None
    if not text.isascii() and unicodedata.normalize("NFC", text) != text:
        raise Malformed("not canonical CBOR: text that is not in normal form C")
    return text


def _map(data: bytes, position: int, count: int, depth: int) -> tuple[Value, int]:
    found: dict[int, Value] = {}
    last = -1
    for _ in range(count):
        key, position = _read(data, position, depth)
        if type(key) is not int or key <= last:
            raise Malformed("not canonical CBOR: keys that do not rise from 0")
        found[key], position = _read(data, position, depth)
        last = key
    return found, position
