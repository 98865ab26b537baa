"""A friend's answer opens on one device, and says nothing to any other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.keys.errors import Broken, KeysError, WeakKey
from peer.keys.helping import Help, help_number, open_help, seal_help
from peer.keys.primitives import Exchange, system_random
from tests.wire.hostile import refuses_with_only
from wire.errors import Malformed, UnknownVersion, WireError
from wire.ids import DeviceId, GatewayId, PersonId

NEW = Exchange.generate(system_random)
ANSWER = Help(
    PersonId(b"p" * 32),
    "Ben",
    b"s" * 16,
    b"x" * 25,
    3,
    b"m" * 40,
    GatewayId(b"g" * 32),
    ("192.0.2.7:4433",),
    (DeviceId(b"d" * 16),),
)


def test_an_answer_opens_where_it_was_asked_for() -> None:
    assert open_help(seal_help(ANSWER, to=NEW.public), NEW) == ANSWER
    without = replace(ANSWER, gateway=None, places=(), devices=())
    assert open_help(seal_help(without, to=NEW.public), NEW) == without


def test_it_opens_nowhere_else_and_not_when_altered() -> None:
    sealed = seal_help(ANSWER, to=NEW.public)

    with pytest.raises(Broken):
        open_help(sealed, Exchange.generate(system_random))
    for place in (0, 40, len(sealed) - 1):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(KeysError):
            open_help(bytes(altered), NEW)
    with pytest.raises(KeysError):
        open_help(sealed[:20], NEW)
    with pytest.raises(WeakKey):
        seal_help(ANSWER, to=bytes(32))


def test_two_devices_show_two_numbers() -> None:
    assert help_number(NEW.public) == help_number(NEW.public)
    assert help_number(NEW.public) != help_number(Exchange.generate(system_random).public)


@given(st.data())
def test_any_bytes_are_an_answer_or_refused(data: st.DataObject) -> None:
    raw = bytearray(ANSWER.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    refuses_with_only(Help.decode, bytes(raw), {Malformed, UnknownVersion})
    with pytest.raises(WireError):
        Help.decode(bytes(raw[: data.draw(st.integers(0, len(raw) - 1))]))


def test_no_share_is_printed() -> None:
    assert repr(ANSWER.share) not in repr(ANSWER)
