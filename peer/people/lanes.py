"""Lanes: those I gave, on which contacts write to me, and those I was given.

The secrets stay with the contact; what a gateway gets is derived for it alone. After moving to
another gateway the same secrets are registered there, and nobody has to be told of new ones.
"""

from dataclasses import dataclass
from typing import Final

from peer import sqlite
from peer.keys.primitives import system_random
from wire.codec import Value, decode, encode
from wire.ids import GatewayId, LaneId, PersonId
from wire.lanes import SECRET_BYTES, Lane, LaneClass, LaneRight, LaneSecret, WakeRule

MINTED: Final = (LaneClass.LETTER, LaneClass.ORDINARY)
"""Classes that every contact is given today."""
_RULES: Final = {
    LaneClass.LETTER: (WakeRule.WAKE, 200, 64 << 20, True),
    LaneClass.ORDINARY: (WakeRule.NEVER, 0, 256 << 20, False),
}
"""Rule, wakes a day, bytes waiting, last tenth: letters wake and may use the last room."""

_WAKES_OF_OTHERS: Final = 20
"""Wakes a day of what is not for me alone, where I let it wake me at all."""
_RULE: Final = "setting/rule/"
_CHANGED: Final = "rule-changed/"
OLD_SECONDS: Final = 30 * 86_400.0
"""For which lanes that were renewed are still good: a contact may be away for a month."""
_RENEWED: Final = "setting/lanes-renewed/"

Secrets = tuple[tuple[LaneClass, LaneSecret], ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A lane I gave to a contact."""

    person: PersonId
    kind: LaneClass
    secret: LaneSecret
    rule: WakeRule | None = None
    """What I let it do; None: what lanes of this class do."""

    def right(self, gateway: GatewayId) -> LaneRight:
        """Return what to register for it at `gateway`."""
        rule, wakes, room, last_tenth = _RULES[self.kind]
        return LaneRight(
            self.secret.at(gateway),
            self.rule or rule,
            wakes_per_day=wakes or (_WAKES_OF_OTHERS if self.rule else 0),
            bytes_waiting=room,
            expires=0,
            last_tenth=last_tenth,
        )


class Lanes:
    """All lanes of this phone. What changes something wants an open transaction."""

    def __init__(self, db: sqlite.Connection) -> None:
        self._db = db

    def give(self, person: PersonId) -> Secrets:
        """Return the lanes for a person, minting what is missing."""
        held = {
            LaneClass(kind): LaneSecret(secret)
            for kind, secret in self._db.execute(
                "SELECT class, secret FROM lane_given WHERE person = ? AND NOT revoked",
                (person.raw,),
            )
        }
        for secret in self._renewed(person)[1]:  # these are the ones to tell of
            held.update({kind: LaneSecret(secret) for kind in self._kinds_of(person, secret)})
        for kind in MINTED:
            if kind not in held:
                held[kind] = LaneSecret(system_random(SECRET_BYTES))
                self._db.execute(
                    "INSERT INTO lane_given (person, class, secret) VALUES (?, ?, ?)",
                    (person.raw, int(kind), held[kind].raw),
                )
        return tuple((kind, held[kind]) for kind in MINTED)

    def given(self) -> list[Given]:
        """Return all lanes on which others may write to me."""
        rows = self._db.execute("SELECT person, class, secret FROM lane_given WHERE NOT revoked")
        return [self._given(*row) for row in rows]

    def _kinds_of(self, person: PersonId, secret: bytes) -> list[LaneClass]:
        rows = self._db.execute(
            "SELECT class FROM lane_given WHERE person = ? AND secret = ? AND NOT revoked",
            (person.raw, secret),
        )
        return [LaneClass(kind) for (kind,) in rows]

    def renew(self, person: PersonId, *, now: float) -> Secrets:
        """Mint all lanes of a person anew; the ones before go when these are used, or in a month.

        Whoever has taken a device of ours knows the ones before.
        """
        fresh = [(kind, LaneSecret(system_random(SECRET_BYTES))) for kind in MINTED]
        self._db.executemany(
            "INSERT INTO lane_given (person, class, secret) VALUES (?, ?, ?)",
            [(person.raw, int(kind), one.raw) for kind, one in fresh],
        )
        secrets: list[Value] = [one.raw for _, one in fresh]
        self._db.execute(
            "INSERT OR REPLACE INTO note VALUES (?, ?)",
            (_RENEWED + person.text, encode([int(now), secrets])),
        )
        return tuple(fresh)

    def used(self, person: PersonId, lane: LaneId, *, at: GatewayId, now: float) -> None:
        """Take back the lanes that were renewed, once a person has used one of the new."""
        since, fresh = self._renewed(person)
        if not fresh or (now - since < OLD_SECONDS and not _is_one(lane, fresh, at=at)):
            return
        rows = self._db.execute(
            "SELECT secret FROM lane_given WHERE person = ? AND NOT revoked", (person.raw,)
        ).fetchall()
        self._db.executemany(
            "UPDATE lane_given SET revoked = 1 WHERE person = ? AND secret = ?",
            [(person.raw, secret) for (secret,) in rows if secret not in fresh],
        )
        self._db.execute("DELETE FROM note WHERE name = ?", (_RENEWED + person.text,))

    def _renewed(self, person: PersonId) -> tuple[float, list[bytes]]:
        row = self._db.execute(
            "SELECT value FROM note WHERE name = ?", (_RENEWED + person.text,)
        ).fetchone()
        match None if row is None else decode(row[0], limit=1024):
            case [int(since), list(secrets)]:
                return float(since), [one for one in secrets if isinstance(one, bytes)]
        return 0.0, []

    def unregistered(self, gateway: GatewayId) -> list[Given]:
        """Return the lanes that `gateway` does not know yet, or with another rule."""
        rows = self._db.execute(
            "SELECT person, class, secret FROM lane_given"
            " WHERE NOT revoked AND (gateway IS NULL OR gateway <> ?)",
            (gateway.raw,),
        ).fetchall()
        changed = self._db.execute(
            "SELECT substr(name, ?) FROM note WHERE name GLOB ?",
            (len(_CHANGED) + 1, f"{_CHANGED}*"),
        ).fetchall()
        for (name,) in changed:
            kind, _, person = name.partition("/")
            rows += self._db.execute(
                "SELECT person, class, secret FROM lane_given"
                " WHERE NOT revoked AND gateway = ? AND person = ? AND class = ?",
                (gateway.raw, PersonId.from_text(person).raw, int(kind)),
            ).fetchall()
        return [self._given(*row) for row in rows]

    def registered(self, lanes: list[Given], *, gateway: GatewayId) -> None:
        """Note that `gateway` knows these lanes, with the rules that they have there."""
        self._db.executemany(
            "UPDATE lane_given SET gateway = ?, lane = ? WHERE secret = ?",
            [(gateway.raw, one.secret.at(gateway).id.raw, one.secret.raw) for one in lanes],
        )
        self._db.executemany(
            "DELETE FROM note WHERE name = ? AND value = ?",
            [(_name(_CHANGED, one.kind, one.person), bytes([one.rule or 0])) for one in lanes],
        )

    def rule(self, person: PersonId, kind: LaneClass) -> WakeRule:
        """Return what a parcel of a person on a lane of a class may do to my devices."""
        return self._own_rule(person, kind) or _RULES[kind][0]

    def set_rule(self, person: PersonId, kind: LaneClass, rule: WakeRule) -> None:
        """Set it; the gateway is told at the next chance, and the person never."""
        for prefix in (_RULE, _CHANGED):
            self._db.execute(
                "INSERT INTO note VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?2",
                (_name(prefix, kind, person), bytes([rule])),
            )

    def _own_rule(self, person: PersonId, kind: LaneClass) -> WakeRule | None:
        row = self._db.execute(
            "SELECT value FROM note WHERE name = ?", (_name(_RULE, kind, person),)
        ).fetchone()
        return None if row is None else WakeRule(row[0][0])

    def _given(self, person: bytes, kind: int, secret: bytes) -> Given:
        whose, which = PersonId(person), LaneClass(kind)
        return Given(whose, which, LaneSecret(secret), self._own_rule(whose, which))

    def drop(self, lane: Given) -> None:
        """Forget a lane that no gateway of ours knows."""
        self._db.execute("DELETE FROM lane_given WHERE secret = ?", (lane.secret.raw,))

    def revoke(self, person: PersonId) -> None:
        """Take back what a person was given; the gateway is told at the next chance."""
        self._db.execute("UPDATE lane_given SET revoked = 1 WHERE person = ?", (person.raw,))

    def to_revoke(self, gateway: GatewayId) -> list[LaneId]:
        """Return the lanes that `gateway` must still forget."""
        rows = self._db.execute(
            "SELECT lane FROM lane_given WHERE revoked AND gateway = ?", (gateway.raw,)
        )
        return [LaneId(lane) for (lane,) in rows]

    def revoked(self, gone: list[LaneId]) -> None:
        """Note that the gateway has forgotten these."""
        self._db.executemany(
            "DELETE FROM lane_given WHERE revoked AND lane = ?", [(one.raw,) for one in gone]
        )

    def drop_revoked(self, *, but_at: GatewayId) -> None:
        """Drop what was taken back and is known at no gateway, or at one that we have left."""
        self._db.execute(
            "DELETE FROM lane_given WHERE revoked AND (gateway IS NULL OR gateway <> ?)",
            (but_at.raw,),
        )

    def revoke_unfinished(self, *, now: float) -> None:
        """Take back lanes that were minted for additions which came to nothing."""
        self._db.execute(
            "UPDATE lane_given SET revoked = 1 WHERE NOT revoked"
            " AND person NOT IN (SELECT person FROM contact)"
            " AND person NOT IN"
            " (SELECT person FROM exchange WHERE person IS NOT NULL AND expires > ?)",
            (now,),
        )

    def giver_of(self, lane: LaneId, *, at: GatewayId) -> PersonId | None:
        """Return to whom the lane was given on which a parcel came at this gateway."""
        row = self._db.execute(
            "SELECT person FROM lane_given WHERE lane = ? AND gateway = ? AND NOT revoked",
            (lane.raw, at.raw),
        ).fetchone()
        return self._derived(lane, at) if row is None else PersonId(row[0])

    def _derived(self, lane: LaneId, at: GatewayId) -> PersonId | None:
        """Look through all lanes: at a gateway that was left they are not written down."""
        rows = self._db.execute(
            "SELECT person, secret FROM lane_given WHERE NOT revoked AND gateway IS NOT ?",
            (at.raw,),
        )
        found = (PersonId(person) for person, one in rows if LaneSecret(one).at(at).id == lane)
        return next(found, None)

    def take(self, person: PersonId, lanes: Secrets) -> None:
        """Keep the lanes that a person gave me; newer ones replace older ones."""
        self._db.executemany(
            "INSERT INTO lane_taken VALUES (?, ?, ?)"
            " ON CONFLICT (person, class) DO UPDATE SET secret = excluded.secret",
            [(person.raw, int(kind), secret.raw) for kind, secret in lanes],
        )

    def to(self, person: PersonId, kind: LaneClass, *, gateway: GatewayId) -> Lane | None:
        """Return the lane of a class on which I write to a person, at `gateway`."""
        row = self._db.execute(
            "SELECT secret FROM lane_taken WHERE person = ? AND class = ?",
            (person.raw, int(kind)),
        ).fetchone()
        return None if row is None else LaneSecret(row[0]).at(gateway)

    def forget(self, person: PersonId) -> None:
        """Forget the lanes that a person gave me."""
        self._db.execute("DELETE FROM lane_taken WHERE person = ?", (person.raw,))


def _name(prefix: str, kind: LaneClass, person: PersonId) -> str:
    return f"{prefix}{int(kind)}/{person.text}"


def _is_one(lane: LaneId, secrets: list[bytes], *, at: GatewayId) -> bool:
    return any(LaneSecret(one).at(at).id == lane for one in secrets)
