"""One connection of somebody, as far as requests on it may know of each other.

A deposit must not tell who it is from, and two requests on one connection are from one phone. So a
connection serves either a device that logged in or the holder of a lane, never both
(docs/protocol.md §4.5).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Protocol

from gateway.errors import Refusal

STATE: Final = "homepost.visit"
"""Where the listener puts the visit among the state of an ASGI scope."""


class DepositWithLogin(Refusal):
    """What shows a lane also says who it is from; the gateway does not want to know."""

    code = "deposit-with-login"
    status = 400

    def __init__(self) -> None:
        super().__init__("a lane is shown on a connection of its own, without login")


class Kind(Enum):
    """What a connection has been used for."""

    LOGIN = auto()
    LANE = auto()


class Headers(Protocol):
    """A request's headers, whatever the case of their names."""

    def get(self, key: str, /) -> str | None: ...

    def __contains__(self, key: str, /) -> bool: ...


class Asked(Protocol):
    """A request, over HTTP or for a WebSocket, as far as it says who asks."""

    @property
    def headers(self) -> Headers: ...

    @property
    def scope(self) -> Any: ...


def _nothing() -> None: ...


@dataclass(slots=True)
class Visit:
    """What is known of a connection."""

    abort: Callable[[], None] = _nothing
    """Ends the connection at once, whatever is still to be sent on it."""
    _kind: Kind | None = None

    def is_for(self, kind: Kind) -> None:
        """Note what the connection is used for.

        Raises:
            DepositWithLogin: it was used for the other.
        """
        if self._kind not in (None, kind):
            raise DepositWithLogin
        self._kind = kind


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """Return the visit that a request is part of; a fresh one where no listener keeps any."""
    visit = scope.get("state", {}).get(STATE)
    return visit if isinstance(visit, Visit) else Visit()
