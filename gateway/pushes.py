"""Puts together what wakes phones; loaded only where the owner has switched it on."""

from pathlib import Path

from quart import Blueprint

from gateway.auth import Auth
from gateway.clock import Clock, SteadyClock
from gateway.config import Config
from gateway.database import Database
from gateway.push.pending import PendingWakes
from gateway.push.routes import PushDesk, push_routes
from gateway.push.store import PushStore
from gateway.push.vapid import Vapid, load_key
from gateway.push.waking import StillWaits, Waking
from gateway.push.web_push import WebPush
from gateway.relay.outbound import Outbound, trust_of


class Pushes:
    """Web Push and UnifiedPush of one gateway.

    Args:
        config: the owner's settings, with `web_push` set.
        database: the store.
        clock: the machine's clocks.
        steady: for durations.
        outbound: the way out; None: one that keeps to the settings.

    Raises:
        StartupError: the key for push services, or the certificates of own ones, cannot be used.
    """

    def __init__(
        self,
        config: Config,
        database: Database,
        *,
        clock: Clock,
        steady: SteadyClock,
        outbound: Outbound | None,
    ) -> None:
        self.pending = PendingWakes()
        self._database = database
        self._clock = clock
        self._steady = steady
        trust = trust_of(Path(config.push_trust)) if config.push_trust else None
        self._provider = WebPush(
            outbound or Outbound(own=config.push_servers, own_trust=trust),
            vapid=Vapid(load_key(config.data), contact=config.web_push, now=clock.now),
            wall=lambda: clock.now() if steady.wall_is_plausible() else None,
        )

    def waking(self, still_waits: StillWaits) -> Waking:
        """Return what wakes phones.

        Args:
            still_waits: looks into a mailbox.
        """
        return Waking(
            PushStore(self._database, clock=self._steady, pending=self.pending),
            provider=self._provider,
            still_waits=still_waits,
            clock=self._clock,
            steady=self._steady,
        )

    def routes(self, auth: Auth, waking: Waking) -> Blueprint:
        """Return the routes by which phones say how they are woken."""
        return push_routes(PushDesk(auth, waking, self._clock.monotonic))
