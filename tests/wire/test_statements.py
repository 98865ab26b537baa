"""Card statements: what is read, what is signed, what none may say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import birth, entries, public, signed, signing, step
from wire.codec import encode
from wire.errors import Malformed, NotSigned, UnknownVersion
from wire.ids import GatewayId
from wire.signing import sign
from wire.statements import (
    _LOW_ORDER,
    MAX_DEVICES,
    MAX_STATEMENT,
    NO_PREVIOUS,
    DeviceEntry,
    GatewayEntry,
    Signed,
    Statement,
    StatementKind,
    check_exchange_key,
)

FIRST = birth("phone", "tablet")
ALLOWED = {
    Malformed,  # not the list of two, or a body that no statement has
    UnknownVersion,  # field 0 of the body is no 1
    NotSigned,  # whole, but its signer did not sign it
}

statements = st.builds(
    birth,
    st.sampled_from(["phone", "tablet", "watch"]),
    epoch=st.integers(1, (1 << 63) - 1),
    issued=st.integers(0, (1 << 63) - 1),
    expires=st.integers(0, (1 << 63) - 1),
    gateways=st.lists(
        st.sampled_from([GatewayEntry(GatewayId(bytes([n]) * 32), ("a", "b")) for n in range(9)]),
        unique=True,
        max_size=4,
    ).map(tuple),
    next_root=st.none() | st.just(public("second root")),
)


@given(statements)
def test_a_statement_comes_back_as_it_went(one: Signed) -> None:
    assert Signed.decode(one.encode()) == one
    assert Statement.from_body(one.body).body() == one.body


@given(damaged(FIRST.encode()))
def test_a_damaged_statement_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(Signed.decode, data, ALLOWED)


@given(st.data())
def test_a_statement_over_damaged_bytes_is_malformed(data: st.DataObject) -> None:
    """Whoever holds a key may sign anything: the body is checked all the same."""
    body = data.draw(damaged(FIRST.body))
    packed = encode([body, sign(signing("root"), "card-root", body)])

    refuses_with_only(Signed.decode, packed, ALLOWED)


def test_the_signature_covers_the_exact_bytes() -> None:
    on = step(FIRST, "phone")

    for body, signature in ((on.body, FIRST.signature), (FIRST.body, on.signature)):
        with pytest.raises(NotSigned):
            Signed.decode(encode([body, signature]))


@pytest.mark.parametrize("low", sorted(_LOW_ORDER), ids=lambda low: low.hex()[:8])
def test_an_exchange_key_of_low_order_stands_nowhere(low: bytes) -> None:
    """A12, CY-01: also where its top bit is set, which X25519 ignores."""
    for key in (low, low[:31] + bytes([low[31] | 0x80])):
        with pytest.raises(Malformed, match="low order"):
            check_exchange_key(key)
        with pytest.raises(Malformed, match="low order"):
            DeviceEntry(entries("phone")[0].key, key)
        with pytest.raises(Malformed, match="low order"):
            Signed.decode(birth("phone", person_public=key).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"devices": ()},
        {"seq": 1},
        {"prev": b"\1" * 32},
        {"signer": public("phone")},
        {"epoch": 0},
        {"person_generation": 0},
        {"kind": StatementKind.DEVICE, "signer": public("phone")},
        {"kind": StatementKind.DEVICE, "seq": 1, "next_root": public("thief")},
        {"devices": entries("phone", "tablet")[::-1]},
        {"devices": entries("phone") * 2},
        {"devices": entries(*map(str, range(MAX_DEVICES + 1)))},
        {"gateways": (GatewayEntry(GatewayId(bytes(32)), ("a" * 300,) * 8),) * 2},
        {
            "gateways": tuple(
                GatewayEntry(GatewayId(bytes([n]) * 32), ("a" * 300,) * 8) for n in range(4)
            )
        },
    ],
)
def test_what_no_statement_says_is_neither_signed_nor_read(changes: dict[str, object]) -> None:
    statement = replace(FIRST.statement, **changes)  # type: ignore[arg-type]  # any field may change
    by = "phone" if statement.signer == public("phone") else "root"

    with pytest.raises(ValueError, match="statement"):
        Signed.make(statement, signing(by))
    with pytest.raises(Malformed):
        Signed.decode(signed(statement, by).encode())


def test_a_statement_is_signed_by_the_key_it_names() -> None:
    with pytest.raises(ValueError, match="another signer"):
        Signed.make(FIRST.statement, signing("thief"))
    assert Signed.make(FIRST.statement, signing("root")) == FIRST


def test_a_statement_of_ten_devices_and_four_gateways_fits() -> None:
    gateways = tuple(
        GatewayEntry(GatewayId(bytes([n]) * 32), ("192.0.2.7:4433", "box.example:4433"))
        for n in range(4)
    )
    full = birth(*(f"device {n}" for n in range(MAX_DEVICES)), gateways=gateways)

    assert len(full.encode()) < MAX_STATEMENT / 2
    assert Signed.decode(full.encode()) == full


def test_the_hash_is_over_the_body_alone() -> None:
    assert replace(FIRST, signature=bytes(64)).hash == FIRST.hash
    assert FIRST.hash != step(FIRST, "phone").hash
    assert FIRST.statement.prev == NO_PREVIOUS
    assert step(FIRST, "phone").statement.prev == FIRST.hash
    assert not FIRST.statement.lists(public("watch"))
