"""What a parser is fed: good bytes made bad in the ways that wires and enemies know."""

from collections.abc import Callable, Collection

from hypothesis import strategies as st

from wire.errors import WireError


def damaged(good: bytes) -> st.SearchStrategy[bytes]:
    """Return what becomes of `good`: cut, lengthened, a byte changed, a part doubled or lost."""
    place = st.integers(0, max(0, len(good) - 1))
    return st.one_of(
        place.map(lambda at: good[:at]),
        st.binary(min_size=1, max_size=9).map(lambda more: good + more),
        st.tuples(place, st.integers(1, 255)).map(
            lambda change: (
                good[: change[0]] + bytes([good[change[0]] ^ change[1]]) + good[change[0] + 1 :]
            )
        ),
        st.tuples(place, place).map(lambda cut: good[: min(cut)] + good[max(cut) :]),
        st.tuples(place, place).map(lambda part: good[: max(part)] + good[min(part) :]),
        st.binary(max_size=64),
    )


def refuses_with_only(
    read: Callable[[bytes], object], data: bytes, allowed: Collection[type[WireError]]
) -> None:
    """Read `data`; it may be taken or refused, but only with one of the errors `allowed`."""
    try:
        read(data)
    except WireError as error:
        assert type(error) in allowed, f"{error!r} is not on the list of this parser"  # noqa: PT017
