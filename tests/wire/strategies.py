"""What Hypothesis may make: values and messages that are good."""

import unicodedata

from hypothesis import strategies as st

from tests.wire.people import device, exchange, named, signing
from wire.codec import MAX_DEPTH, Value
from wire.frames import (
    MAX_SEQ,
    Ack,
    Bye,
    Cursor,
    Delivered,
    Deposit,
    Frame,
    Hello,
    Outcome,
    Parcels,
    Ping,
    Pong,
    Proved,
    Result,
    Results,
    Resume,
)
from wire.ids import CursorEpoch, LaneId, ParcelId
from wire.lanes import Lane, LaneRight, WakeRule
from wire.parcel import Lifetime, Parcel
from wire.places import Place
from wire.prekeys import Bundle, Prekey, PrekeyKind
from wire.receipt import Receipt, Stored

raw16 = st.binary(min_size=16, max_size=16)
raw32 = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, MAX_SEQ)
times = st.integers(0, (1 << 32) - 1)
texts = st.text(max_size=8).map(lambda text: unicodedata.normalize("NFC", text))


def _deeper(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    lists: st.SearchStrategy[Value] = st.lists(inner, max_size=4)
    maps: st.SearchStrategy[Value] = st.dictionaries(
        st.integers(0, (1 << 64) - 1), inner, max_size=4
    )
    return st.one_of(lists, maps)


def depth(value: Value) -> int:
    """Return how many lists and maps are inside each other."""
    match value:
        case list():
            return 1 + max(map(depth, value), default=0)
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
    return 0


values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 64) - 1),
        st.binary(max_size=40),
        texts,
    ),
    _deeper,
    max_leaves=12,
).filter(lambda value: depth(value) <= MAX_DEPTH)

bodies = st.builds(lambda part, size: part * (size // 32), raw32, st.sampled_from([256, 288, 512]))
parcels = st.builds(
    Parcel, raw16.map(LaneId), raw16.map(ParcelId), st.sampled_from(Lifetime), raw32, bodies
)
cursors = st.builds(Cursor, raw16.map(CursorEpoch), numbers, raw16.map(ParcelId))
outcomes = st.builds(
    Outcome, raw16.map(ParcelId), st.sampled_from(Result), st.integers(0, (1 << 32) - 1)
)


@st.composite
def _delivered(draw: st.DrawFn) -> Parcels:
    seqs = sorted(draw(st.sets(st.integers(1, MAX_SEQ), min_size=1, max_size=4)))
    return Parcels(tuple(Delivered(seq, draw(parcels)) for seq in seqs))


frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Resume, cursors),
    st.builds(Ack, cursors),
    st.just(Ping()),
    st.just(Pong()),
    st.builds(Hello, raw16.map(CursorEpoch), numbers, st.booleans()),
    st.builds(Bye, st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=40)),
    _delivered(),
    st.builds(
        Deposit,
        times,
        st.lists(st.builds(Proved, raw16, parcels), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(Results, times, st.lists(outcomes, min_size=1, max_size=8).map(tuple)),
    st.builds(
        Receipt,
        st.lists(st.builds(Stored, raw16.map(ParcelId), raw32), min_size=1, max_size=4).map(tuple),
        st.binary(min_size=64, max_size=64),
    ),
)

rights = st.builds(
    LaneRight,
    st.builds(Lane, raw16.map(LaneId), raw32),
    st.sampled_from(WakeRule),
    wakes_per_day=st.integers(0, LaneRight.MAX_WAKES),
    bytes_waiting=st.integers(0, LaneRight.MAX_BYTES),
    expires=st.integers(0, 1 << 40),
    last_tenth=st.booleans(),
)

_ports = st.integers(1, 65_535)
places = st.one_of(
    st.builds(Place, st.ip_addresses().map(str), _ports),
    st.builds(
        Place, st.from_regex(r"[a-z0-9]{1,20}(\.[a-z]{1,10}){0,3}\.[a-z]+", fullmatch=True), _ports
    ),
)


def prekey(kind: PrekeyKind, number: int, by: str = "phone") -> Prekey:
    """Return a prekey of the device `by`, made from its number."""
    key = exchange(f"prekey {number % 8}") if kind.size == 32 else named(f"kem {number % 8}", 1184)
    return Prekey.sign(signing(by), kind=kind, id=number, public=key)


prekeys = st.builds(prekey, st.sampled_from(PrekeyKind), times)


def bundle(by: str, *, one_time: bool = True, last_resort: bool = False) -> Bundle:
    """Return what a sender gets of the device `by`."""
    first = prekey(PrekeyKind.SIGNED, 1, by)
    kem = prekey(PrekeyKind.LAST_RESORT if last_resort else PrekeyKind.ONE_TIME_KEM, 2, by)
    once = prekey(PrekeyKind.ONE_TIME, 3, by) if one_time else None
    return Bundle(device(by), first, kem, once)
