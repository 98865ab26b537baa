"""A vector file in the making: cases that hold, and cases that must fail with a code said here."""

import json
from pathlib import Path
from typing import Any

from tests.vectors.operations import run

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "vectors"


class Cases:
    """The cases of one file.

    Args:
        section: of docs/protocol.md.
        about: one sentence for whoever opens the file.
    """

    def __init__(self, section: str, about: str) -> None:
        self._head = {"format": 1, "section": section, "about": about}
        self._cases: list[dict[str, Any]] = []

    def good(self, name: str, op: str, **given: Any) -> dict[str, Any]:
        """Add a case that must give what it gives now; return its `out`."""
        ready = _ready(given)
        result = run(op, ready)
        if "out" not in result:
            raise AssertionError(f"{name}: {result}")
        self._add(name, op, ready, result)
        out: dict[str, Any] = result["out"]
        return out

    def bad(self, name: str, op: str, *, error: str = "malformed", **given: Any) -> None:
        """Add a case that must be refused with `error`."""
        ready = _ready(given)
        if (result := run(op, ready)) != {"error": error}:
            raise AssertionError(f"{name}: {result} and not {error}")
        self._add(name, op, ready, result)

    def _add(self, name: str, op: str, given: dict[str, Any], result: dict[str, Any]) -> None:
        if any(one["name"] == name and one["op"] == op for one in self._cases):
            raise AssertionError(f"two cases of one name: {name}")
        self._cases.append({"name": name, "op": op, "in": given, **result})

    def text(self) -> str:
        """Return the file: one line for each case, so that a change shows as one line."""
        head = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in self._head.items())
        cases = ",\n".join(f"  {json.dumps(one, ensure_ascii=True)}" for one in self._cases)
        return f'{{\n{head},\n "cases": [\n{cases}\n ]\n}}\n'


def _ready(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _ready(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_ready(part) for part in value]
    return value
