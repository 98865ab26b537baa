"""Opens a connection for whoever holds a lane, without asking who that is.

An unknown lane, a revoked one, another gateway's and a wrong proof are refused in the same words
after the same work (docs/protocol.md §4.5).
"""

from typing import Final, TypeGuard

from gateway.auth import Auth
from gateway.bodies import header_bytes
from gateway.errors import LaneRefused
from gateway.mailbox.lanes import KnownLane
from gateway.mailbox.store import MailboxStore
from gateway.visit import Asked, DepositWithLogin, Kind, visit_of
from wire.auth import LaneOpening, Purpose

LANE_HEADER: Final = "Homepost-Lane"


class Openings:
    """Checks the proofs with which connections without login are opened.

    Args:
        auth: whose nonces they answer.
        store: where lanes are found.
    """

    def __init__(self, auth: Auth, store: MailboxStore) -> None:
        self._auth = auth
        self._store = store

    async def check(self, asked: Asked, purpose: Purpose) -> KnownLane:
        """Return the lane that the header `Homepost-Lane` proves.

        Raises:
            DepositWithLogin: the request carries a login, or its connection has carried one.
            Malformed: the header is no opening.
            ChallengeStale: its nonce is of no use; that says nothing of the lane.
            LaneRefused: everything else.
        """
        if "Authorization" in asked.headers:
            raise DepositWithLogin
        visit_of(asked.scope).is_for(Kind.LANE)
        header = asked.headers.get(LANE_HEADER)
        if header is None:
            raise LaneRefused
        opening = LaneOpening.decode(header_bytes(header))
        self._auth.challenges.check(opening.nonce)
        known = self._store.lane_at_hand(opening.lane)
        if not self._opened(known, opening, purpose):  # whatever is wrong: the same work for all
            known = await self._store.lane(opening.lane)
            if not self._opened(known, opening, purpose):
                raise LaneRefused
        self._auth.challenges.spend(opening.nonce)
        return known

    def _opened(
        self, known: KnownLane | None, opening: LaneOpening, purpose: Purpose
    ) -> TypeGuard[KnownLane]:
        lane = known.lane if known is not None else self._store.stand_in(opening.lane)
        proved = opening.proved_by(lane, channel=self._auth.channel, purpose=purpose)
        # A contact has several lanes; prekeys are for letters, and counted once for each contact.
        useful = known is not None and (purpose != "prekeys" or known.last_tenth)
        return proved and useful
