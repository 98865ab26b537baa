"""The state of a session between two steps, in a form of our own: it outlives the library.

state   form (1) || which chains there are (1) || own ratchet key, secret half (32) || the
        other's ratchet key (32) || root chain || sending chain || receiving chain ||
        length of the sending chain before (4)
chain   messages so far (4, big-endian) || chain key (32)
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from peer.keys.errors import Damaged
from peer.keys.primitives import KEY_BYTES
from wire.codec import Value, decode
from wire.errors import Malformed

FORM: Final = 2
_LAYOUT: Final = struct.Struct(">BB32s32sI32sI32sI32sI")
_RECEIVING, _PREVIOUS = 1, 2
_FIRST_FORM: Final = 0xA7
"""How a state of the first form begins: as a CBOR map of seven."""
_FIRST_FORM_LIMIT: Final = 512


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of message keys: how many it has given, and the key from which the next follows."""

    length: int
    key: bytes = field(repr=False)


_NO_CHAIN: Final = Chain(0, bytes(32))


@dataclass(frozen=True, slots=True)
class State:
    """What one end of a session knows; keys of skipped messages are not part of it."""

    own: bytes = field(repr=False)
    other: bytes
    root: Chain
    sending: Chain
    receiving: Chain | None
    previous: int | None
    """Messages in the sending chain before."""

    @classmethod
    def load(cls, data: bytes) -> "State":
        """Read what `save` gave, or a state of the first form.

        Raises:
            Damaged: it is neither.
        """
        if len(data) != _LAYOUT.size or data[0] != FORM:
            return _first_form(data)
        _form, there, own, other, *chains = _LAYOUT.unpack(data)
        return cls(
            own,
            other,
            Chain(chains[0], chains[1]),
            Chain(chains[2], chains[3]),
            Chain(chains[4], chains[5]) if there & _RECEIVING else None,
            chains[6] if there & _PREVIOUS else None,
        )

    def save(self) -> bytes:
        """Return the bytes to store; they hold secrets."""
        receiving = self.receiving or _NO_CHAIN
        there = _RECEIVING * (self.receiving is not None)
        there |= _PREVIOUS * (self.previous is not None)
        return _LAYOUT.pack(
            FORM,
            there,
            self.own,
            self.other,
            self.root.length,
            self.root.key,
            self.sending.length,
            self.sending.key,
            receiving.length,
            receiving.key,
            self.previous or 0,
        )


def _first_form(data: bytes) -> State:
    if data[:1] != bytes([_FIRST_FORM]):
        raise Damaged("the state of a session has another form")
    try:
        value = decode(data, limit=_FIRST_FORM_LIMIT)
    except Malformed as error:
        raise Damaged(f"the state of a session is not readable: {error}") from None
    match value:
        case {
            0: 1,
            1: bytes(own),
            2: bytes(other),
            3: [int(length), bytes(key)],
            4: [int(sent), bytes(sending)],
            5: receiving,
            6: int() | None as previous,
        } if {len(one) for one in (own, other, key, sending)} == {KEY_BYTES}:
            chains = Chain(length, key), Chain(sent, sending), _first_form_chain(receiving)
            return State(own, other, *chains, previous)
    raise Damaged("the state of a session has another form")


def _first_form_chain(value: Value) -> Chain | None:
    match value:
        case None:
            return None
        case [int(length), bytes(key)] if len(key) == KEY_BYTES:
            return Chain(length, key)
    raise Damaged("the state of a session has a chain of another form")
