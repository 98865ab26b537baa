"""Which of several statements counts, when more than one stands on the same statement.

A side is a rival and all that stands on it. Of two rivals, the one whose side revokes a signer of
the other side counts, else the one whose side revokes anybody, else the one with the lower hash. No
rule settles two rivals by one signer, nor a ring in which each side revokes a signer of the next;
two sides that revoke each other are the smallest ring (docs/protocol.md §10.2).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wire.statements import NO_PREVIOUS, Signed, Statement


@dataclass(frozen=True, slots=True)
class _Side:
    """A rival, who signed on its side, and whom that side revokes."""

    rival: Signed
    signers: frozenset[bytes]
    revoked: frozenset[bytes]

    def strikes(self, other: "_Side") -> bool:
        return not self.revoked.isdisjoint(other.signers)


class Tree:
    """The statements of one epoch, each under the one that it stands on."""

    def __init__(self, known: Sequence[Signed]) -> None:
        self._on: dict[bytes, list[Signed]] = {}
        self._at = {one.hash: one for one in known}
        for one in self._at.values():
            self._on.setdefault(one.statement.prev, []).append(one)

    def on(self, before: bytes) -> list[Signed]:
        """Return the statements that stand on the one with this hash, the lower hash first."""
        return self._on.get(before, [])

    def below(self, group: Sequence[Signed]) -> Iterator[Signed]:
        """Yield the statements of `group` and everything that stands on them."""
        waiting = list(group)
        while waiting:
            one = waiting.pop()
            yield one
            waiting += self.on(one.hash)

    def forks(self) -> Iterator[tuple[list[Signed], tuple[Signed, Signed]]]:
        """Yield each group of rivals that no rule settles, with two of them as proof."""
        for group in self._on.values():
            if (proof := self._proof(group)) is not None:
                yield group, proof

    def counting(self) -> Iterator[Signed]:
        """Yield the statements that count, from the beginning of the epoch to the newest."""
        begins = self.on(NO_PREVIOUS)
        one = begins[0]
        yield one
        if len(begins) > 1:
            return
        while (rivals := self.on(one.hash)) and self._proof(rivals) is None:
            one = self._best(rivals)
            yield one

    def _proof(self, group: list[Signed]) -> tuple[Signed, Signed] | None:
        """Return two rivals by one signer, or two of a ring in which each strikes the next."""
        for place, one in enumerate(group):
            for other in group[place + 1 :]:
                if one.statement.signer == other.statement.signer:
                    return one, other
        sides = [self._side(one) for one in group] if len(group) > 1 else []
        struck = {
            place: [n for n, other in enumerate(sides) if n != place and side.strikes(other)]
            for place, side in enumerate(sides)
        }
        for first, seconds in struck.items():
            for second in seconds:
                if first in _reached(second, struck):
                    return group[first], group[second]
        return None

    def _best(self, group: list[Signed]) -> Signed:
        """Return the rival that counts, where `_proof` found no fork."""
        sides = [self._side(one) for one in group]
        standing = [
            side
            for side in sides
            if not any(other is not side and other.strikes(side) for other in sides)
        ]
        return min(standing, key=lambda side: (not side.revoked, side.rival.hash)).rival

    def _side(self, rival: Signed) -> _Side:
        parts = [one.statement for one in self.below([rival])]
        gone = (revoked(one, before=self._at[one.prev].statement) for one in parts)
        return _Side(rival, frozenset(one.signer for one in parts), frozenset().union(*gone))


def _reached(start: int, edges: Mapping[int, list[int]]) -> set[int]:
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += edges[here]
    return reached


def revoked(statement: Statement, *, before: Statement) -> frozenset[bytes]:
    """Return the keys of the devices that `before` lists and `statement` does not."""
    kept = {one.key.raw for one in statement.devices}
    return frozenset(one.key.raw for one in before.devices if one.key.raw not in kept)
