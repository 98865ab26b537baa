"""Remembers who was refused how often, and when to listen to him no longer.

Each refusal is a drop in a bucket that leaks. Whoever fills it is turned away before anything is
worked out for him, until some of it has run out: so he costs what a few guesses a second cost.
"""

import time
from collections.abc import Callable
from typing import Final

MAX_KNOWN: Final = 4096
"""Networks that are remembered: half a megabyte. Who was not refused for longest goes first."""


class Patience:
    """Counts refusals by network.

    Args:
        a_minute: refusals that one network may have at once, and that run out in a minute.
        now: returns seconds that never go back.
    """

    def __init__(self, a_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._now = now
        self._drops: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._drops)

    def refused(self, network: str) -> bool:
        """Note a refusal; return whether it is the one that was too many."""
        was_over = self.is_over(network)
        drops = min(self._left(network) + 1, float(self._a_minute))
        self._drops.pop(network, None)  # it becomes the last
        self._drops[network] = (drops, self._now())
        while len(self._drops) > MAX_KNOWN:
            del self._drops[next(iter(self._drops))]
        return not was_over and self.is_over(network)

    def is_over(self, network: str) -> bool:
        """Return whether a network is listened to no longer just now."""
        if network not in self._drops:
            return False
        left = self._left(network)
        if left <= 0:
            del self._drops[network]
        return left > self._a_minute - 1

    def _left(self, network: str) -> float:
        """Return how many of a network's refusals have not run out yet."""
        drops, since = self._drops.get(network, (0.0, 0.0))
        return max(0.0, drops - (self._now() - since) * self._a_minute / 60)
