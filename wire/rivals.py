"""Which of several statements counts, when more than one stands on the same statement.

A side is a rival and all that stands on it. Of two rivals, the one whose side revokes the other's
signer counts, else the one whose side revokes anybody, else the one with the lower hash. No rule
settles two rivals by one signer, nor a ring in which each side revokes the next one's signer; two
that revoke each other are the smallest ring (docs/protocol.md §10.2).
"""

from collections.abc import Iterator, Mapping, Sequence

from wire.statements import NO_PREVIOUS, Signed, Statement


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
        """Return two rivals by one signer, or two of a ring in which each revokes the next."""
        if len(group) < 2:
            return None
        for place, one in enumerate(group):
            for other in group[place + 1 :]:
                if one.statement.signer == other.statement.signer:
                    return one, other
        revoked = {
            one.hash: [other for other in group if other is not one and self._revokes(one, other)]
            for one in group
        }
        for one in group:
            for other in revoked[one.hash]:
                if one.hash in _reached(other.hash, revoked):
                    return one, other
        return None

    def _best(self, group: list[Signed]) -> Signed:
        """Return the rival that counts, where `_proof` found no fork."""
        standing = [
            one
            for one in group
            if not any(other is not one and self._revokes(other, one) for other in group)
        ]
        return min(standing, key=lambda one: (not self._revokes_anybody(one), one.hash))

    def _revokes(self, one: Signed, other: Signed) -> bool:
        return any(not part.statement.lists(other.statement.signer) for part in self.below([one]))

    def _revokes_anybody(self, one: Signed) -> bool:
        return any(
            revokes(part.statement, before=self._at[part.statement.prev].statement)
            for part in self.below([one])
        )


def _reached(start: bytes, edges: Mapping[bytes, list[Signed]]) -> set[bytes]:
    reached: set[bytes] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += [one.hash for one in edges[here]]
    return reached


def revokes(statement: Statement, *, before: Statement) -> bool:
    """Return whether `statement` no longer lists a device that `before` lists."""
    return any(not statement.lists(one.key.raw) for one in before.devices)
