"""What a row measured, and whether that is what it has to be."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.essay.scene import Scene


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was looked at."""

    what: str
    seen: str
    passed: bool | None
    """None: it is told, and nothing depends on it."""

    def __str__(self) -> str:
        mark = {True: "pass", False: "FAIL", None: "    "}[self.passed]
        return f"  {mark}  {self.what}: {self.seen}"


@dataclass
class Ledger:
    """The measures of one row, in their order."""

    measures: list[Measure] = field(default_factory=list)

    def tell(self, what: str, seen: object) -> None:
        """Print something that explains the measures."""
        self.measures.append(Measure(what, str(seen), None))

    def equal(self, what: str, seen: object, wanted: object) -> None:
        """Pass if what was seen is what is wanted."""
        same = seen == wanted
        text = f"{seen}" if same else f"{seen}, and should be {wanted}"
        self.measures.append(Measure(what, text, same))

    def true(self, what: str, truth: bool, seen: object) -> None:
        """Pass if it holds."""
        self.measures.append(Measure(what, str(seen), truth))

    @property
    def passed(self) -> bool:
        """Whether something was measured and nothing failed."""
        judged = [one.passed for one in self.measures if one.passed is not None]
        return bool(judged) and all(judged)


Demonstration = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """A complaint, a wish or a fear, and what shows how this system answers it."""

    id: str
    about: str
    shown_by: str
    run: Demonstration


ROWS: Final[dict[str, Row]] = {}
"""All rows by id, in the order in which they were written down."""


def row(id: str, *, about: str, shown_by: str) -> Callable[[Demonstration], Demonstration]:
    """Enter a demonstration into the list of rows.

    Args:
        id: as on the checklist.
        about: the complaint, wish or fear, in a few words of ours.
        shown_by: what is measured, and what it has to be.
    """

    def enter(run: Demonstration) -> Demonstration:
        if id in ROWS:
            raise ValueError(f"there is a row {id} already")
        ROWS[id] = Row(id, about, shown_by, run)
        return run

    return enter
