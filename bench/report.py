"""The table that a run ends with, as text and as JSON, and its place in the document."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.figures import shown
from bench.targets import COLUMNS, Figures, Judged, Row, Verdict, judge

BEGIN: Final = "<!-- table: python -m bench --write -->"
END: Final = "<!-- end of table -->"
FAR: Final = 0.2
"""A row that misses its target by more than this part has its reason in the document."""


def table(rows: Sequence[Row], figures: Figures, *, columns: Mapping[str, str] = COLUMNS) -> str:
    """Return a table in Markdown, with the columns that it is asked for."""
    titles = ["#", "what", "must", "stretch", *columns.values()]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for row in rows:
        cells = [row.id, row.what, _bounds(row, "must"), _bounds(row, "stretch")]
        cells += [_cell(row, judge(row, figures, column=column)) for column in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _bounds(row: Row, which: str) -> str:
    texts = [goal.text(goal.must if which == "must" else goal.stretch) for goal in row.goals]
    return "; ".join(one for one in texts if one)


def _cell(row: Row, judged: Judged) -> str:
    if judged.verdict is Verdict.NOT_MEASURED and not any(
        value is not None for value in judged.values
    ):
        return str(judged.verdict.value)
    numbers = [
        "-" if value is None else f"{shown(value)} {goal.label}".rstrip()
        for goal, value in zip(row.goals, judged.values, strict=True)
    ]
    said = str(judged.verdict.value)
    if judged.verdict is Verdict.MISSED:
        said += f" by {judged.missed_by:.0%}"
    return "; ".join(numbers) + (f": **{said}**" if said else "")


def as_json(
    rows: Sequence[Row], figures: Figures, *, columns: Mapping[str, str] = COLUMNS
) -> list[dict[str, Any]]:
    """Return what came of each row, as values that JSON has."""
    return [
        {
            "row": row.id,
            "what": row.what,
            "column": column,
            "values": {
                goal.label or "number": value
                for goal, value in zip(row.goals, judged.values, strict=True)
            },
            "verdict": judged.verdict.value or "shown",
            "missed_by": judged.missed_by,
        }
        for row in rows
        for column in columns
        for judged in [judge(row, figures, column=column)]
    ]


def far_off(rows: Sequence[Row], figures: Figures) -> set[str]:
    """Return the rows that miss by so much that the document must say why."""
    return {
        row.id
        for row in rows
        for column in COLUMNS
        if judge(row, figures, column=column).missed_by > FAR
    }


def absences(absent: Mapping[str, str]) -> str:
    """Return what could not be measured, and why, one line each."""
    return "\n".join(f"Not measured: {what}: {why}." for what, why in sorted(absent.items()))


def put_in(document: str, content: str) -> str:
    """Return a document with `content` between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} and {END}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
