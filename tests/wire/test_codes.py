"""Codes: what a QR carries, and every way to mistype it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import refuses_with_only
from tests.wire.people import named, public
from tests.wire.strategies import places, raw16, raw32, times
from wire import codes
from wire.codes import (
    ContactCode,
    DeviceCode,
    GatewayCode,
    KitCode,
    ShownBy,
    fingerprint,
    kind_of,
    looks_like_code,
)
from wire.errors import Malformed, UnknownVersion, WrongCode
from wire.ids import GatewayId, PersonId, SlotId
from wire.places import Place

GATEWAY = GatewayCode(GatewayId(public("gateway")), named("secret", 16), 2, Place("192.0.2.7"))
CONTACT = ContactCode(
    PersonId.of_root(public("root")),
    named("commitment", 16),
    SlotId(named("slot", 16)),
    1,
    fingerprint(GATEWAY.gateway),
    Place("192.0.2.7"),
)
ALLOWED = {
    Malformed,  # no code, or cut or mistyped
    UnknownVersion,  # whole, and newer
    WrongCode,  # of another kind
}

gateway_codes = st.builds(GatewayCode, raw32.map(GatewayId), raw16, times, places)
contact_codes = st.builds(
    ContactCode, raw32.map(PersonId), raw16, raw16.map(SlotId), times, raw16, places
)

device_codes = st.builds(
    DeviceCode, st.sampled_from(ShownBy), raw16, raw16.map(SlotId), times, raw16, places
)


@given(device_codes)
def test_a_code_for_a_device_comes_back_as_it_went(code: DeviceCode) -> None:
    assert DeviceCode.parse(code.text()) == code
    assert kind_of(code.text()) == "the code of a further device"
    for other in (GatewayCode, ContactCode, KitCode):
        with pytest.raises(WrongCode):
            other.parse(code.text())


def test_a_code_for_a_device_that_nobody_shows_is_refused() -> None:
    code = DeviceCode(ShownBy.NEW, bytes(16), SlotId(bytes(16)), 1, bytes(16), Place("192.0.2.7"))
    object.__setattr__(code, "shown_by", 3)

    with pytest.raises(Malformed):
        DeviceCode.parse(code.text())


@given(st.text(max_size=80).map(lambda text: f"HPD1:{text}"))
def test_what_is_no_code_for_a_device_is_refused_with_a_wire_error(text: str) -> None:
    refuses_with_only(lambda data: DeviceCode.parse(data.decode()), text.encode(), ALLOWED)


@given(gateway_codes, contact_codes)
def test_a_code_comes_back_as_it_went(gateway: GatewayCode, contact: ContactCode) -> None:
    assert GatewayCode.parse(gateway.text()) == gateway
    assert ContactCode.parse(contact.text()) == contact


@given(gateway_codes)
def test_a_code_may_be_typed_small_and_with_spaces(code: GatewayCode) -> None:
    text = code.text().lower()

    assert GatewayCode.parse(f"  {text[:9]} {text[9:30]}\n{text[30:]}\t") == code


@given(contact_codes, gateway_codes)
def test_a_code_of_one_kind_is_never_taken_for_another(
    contact: ContactCode, gateway: GatewayCode
) -> None:
    """AZ-06: the scanner for gateways refuses a contact's code and says so, and the reverse."""
    with pytest.raises(WrongCode) as refused:
        GatewayCode.parse(contact.text())
    assert "gateway" in refused.value.wanted
    assert "person" in refused.value.found
    with pytest.raises(WrongCode):
        ContactCode.parse(gateway.text())
    relabelled = "HPG1" + contact.text()[4:]
    with pytest.raises(Malformed):
        GatewayCode.parse(relabelled)


@given(st.integers(5, len(GATEWAY.text()) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_mistyped_character_is_noticed(place: int, typed: str) -> None:
    """The check is of two bytes: by chance one in 65536 passes, none of these does."""
    text = GATEWAY.text()
    wrong = text[:place] + typed + text[place + 1 :]

    if wrong != text:
        with pytest.raises((Malformed, UnknownVersion)):
            GatewayCode.parse(wrong)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"HP[A-Z]1:[A-Z2-7]{0,120}", fullmatch=True)))
def test_any_text_is_a_code_or_refused(text: str) -> None:
    for kind in (GatewayCode, ContactCode):
        refuses_with_only(lambda _, kind=kind: kind.parse(text), b"", ALLOWED)  # type: ignore[misc]  # a lambda with a default


def test_the_code_of_a_gateway_is_small_enough_for_a_terminal() -> None:
    text = GATEWAY.text()

    assert len(text) <= 122  # alphanumeric characters in a QR of version 5, level M
    assert text.startswith("HPG1:")


def test_a_text_is_recognised_before_it_is_read() -> None:
    assert looks_like_code(f" {GATEWAY.text().lower()}")
    assert kind_of(GATEWAY.text()) == "the code of a gateway"
    assert kind_of(CONTACT.text()) == "the code of a person, for adding a contact"
    assert not looks_like_code("https://example.org")
    assert kind_of("https://example.org") is None
    assert kind_of("HPZ1:AAAA") is None


def test_neither_the_secret_nor_the_slot_is_printed() -> None:
    assert "secret" not in repr(GATEWAY)
    assert "slot" not in repr(CONTACT)


def test_a_code_has_parts_of_one_size() -> None:
    with pytest.raises(Malformed):
        GatewayCode(GATEWAY.gateway, bytes(15), 1, GATEWAY.place)
    for expires in (-1, 1 << 32):
        with pytest.raises(Malformed):
            GatewayCode(GATEWAY.gateway, bytes(16), expires, GATEWAY.place)
    with pytest.raises(Malformed):
        ContactCode(CONTACT.person, bytes(15), CONTACT.slot, 1, CONTACT.gateway, CONTACT.place)
    with pytest.raises(Malformed):
        ContactCode(CONTACT.person, bytes(16), CONTACT.slot, 1, bytes(32), CONTACT.place)


KIT = KitCode(named("seed", 16), PersonId.of_root(public("root")), GATEWAY.gateway)


@given(raw16, raw32.map(PersonId), raw32.map(GatewayId), st.lists(places, max_size=4))
def test_a_kit_takes_as_many_places_as_it_has_room_for(
    seed: bytes, person: PersonId, gateway: GatewayId, where: list[Place]
) -> None:
    kit = KitCode.of(seed, person, gateway=gateway, places=where)

    assert KitCode.parse(kit.text()) == kit
    assert len(kit.text()) <= 5 + 160 * 8 // 5 + 1
    assert len(kit.places) <= 2
    assert set(kit.places) <= set(where)


def test_a_kit_may_lack_a_gateway() -> None:
    kit = KitCode.of(KIT.seed, KIT.person, places=[Place("192.0.2.7")])

    assert KitCode.parse(kit.text()) == kit == KitCode(KIT.seed, KIT.person)
    with pytest.raises(Malformed):
        KitCode(KIT.seed, KIT.person, None, (Place("192.0.2.7"),))
    with pytest.raises(Malformed):
        KitCode(KIT.seed[:15], KIT.person)
    with pytest.raises(Malformed):
        KitCode(KIT.seed, KIT.person, KIT.gateway, (Place("a.b" + ".c" * 60),))


@given(st.binary(max_size=150))
def test_any_bytes_are_a_kit_or_refused(raw: bytes) -> None:
    text = codes._text("HPK1", KIT.seed + KIT.person.raw + raw)

    refuses_with_only(lambda _: KitCode.parse(text), b"", ALLOWED)


def test_the_seed_of_a_kit_is_not_printed() -> None:
    assert "seed" not in repr(KIT)
    with pytest.raises(WrongCode) as refused:
        GatewayCode.parse(KIT.text())
    assert refused.value.found == "a recovery kit"
