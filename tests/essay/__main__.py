"""Shows what is claimed: `python -m tests.essay --list`, `python -m tests.essay ROW... [--json]`.

Each row is played with real gateway processes and real phones, and an observer who owns the box
prints what was measured. Nobody has to believe the code. Ends with 1 if a row fails.
"""

import argparse
import asyncio
import json
import sys

from tests.essay.ledger import ROWS
from tests.essay.play import Played, play


def main(arguments: list[str]) -> int:
    """Play the rows that `arguments` name, or list them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.essay", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="such as C1; none: all of them")
    parser.add_argument("--list", action="store_true", help="say what rows there are")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--short", action="store_true", help="with fewer letters, as ./test does")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (1)")
    told = parser.parse_args(arguments)
    unknown = [one for one in told.rows if one not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if told.list:
        _list(as_json=told.json)
        return 0
    failed = []
    for id in told.rows or list(ROWS):
        played = asyncio.run(play(ROWS[id], short=told.short, seed=told.seed))
        _tell(played, as_json=told.json)
        if not played.passed:
            failed.append(id)
    if not told.json:
        count = len(told.rows or ROWS)
        print(f"\n{count - len(failed)} of {count} rows hold." + _list_of(failed))
    return 1 if failed else 0


def _list_of(failed: list[str]) -> str:
    return f" Failed: {', '.join(failed)}." if failed else ""


def _list(*, as_json: bool) -> None:
    for one in ROWS.values():
        if as_json:
            print(json.dumps({"row": one.id, "about": one.about, "shown_by": one.shown_by}))
        else:
            print(f"{one.id:<4} {one.about}\n     {one.shown_by}")


def _tell(played: Played, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(played.to_json()), flush=True)
        return
    print(f"\n{played.row.id}: {played.row.about}")
    for measure in played.measures:
        print(measure)
    if played.trouble:
        print(f"  FAIL  it could not be played to its end: {played.trouble}")
    verdict = "pass" if played.passed else "FAIL"
    print(f"  {verdict}, {played.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
