"""What peers are given to keep: as many bytes as a parcel's body has, an id of its own first."""

import secrets
from collections.abc import Iterator
from typing import Final

from bench.deposits import BODY
from bench.talks import ID_BYTES, Work

_REST: Final = secrets.token_bytes(BODY - ID_BYTES)


def items(count: int) -> Iterator[Work]:
    """Yield items of `BODY` bytes."""
    for _ in range(count):
        id = secrets.token_bytes(ID_BYTES)
        yield Work(id + _REST, (id,))
