"""Which cases there are, and which tests play each of them.

A test plays a case when its docstring begins with the id, `CR-03: the power goes …`, or with
several; or when its name does, `test_nf_10_deposits_…`. Most lie in tests/faults. Those that belong
with what they are about lie where PLACES says.
"""

import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PLACES: Final = (
    TESTS / "faults",
    TESTS / "attacks",
    TESTS / "peer" / "commands" / "test_device.py",
    TESTS / "vectors" / "test_wire_vectors.py",
    TESTS / "test_threat_model.py",
)
"""Where tests lie that play cases."""
WHOLE: Final = {
    "PL-05": (TESTS / "test_threat_model.py", "the schema, and who learns what from it"),
}
"""Cases that have a whole file, and what it is about."""
_FAMILIES: Final = {
    "CR": "01 02 03 06 07 09 11 13 16 17 18 19 20 21",  # crashes and disks
    "NF": "01 02 03 06 09 10",  # networks
    "DS": "01 03 04 05 07 08 10 11 16 17",  # floods
    "BI": "01 02 04 05 06 07 09 11 12",  # what parsers are fed
    "AZ": "01 02 03 04 06 07 08 10 12 13 15",  # who may do what
    "CY": "01 02 03 04 06 07 08 10",  # keys and seals
    "PL": "01 03 05 07 12",  # what is left behind
    "CK": "01 02 04 05 08",  # clocks
    "UP": "01 02",  # upgrades
    "RS": "01 03 08",  # backups
}
CASES: Final = tuple(
    f"{family}-{number}" for family, numbers in _FAMILIES.items() for number in numbers.split()
)

_ID: Final = r"[A-Z]{2}-[0-9]{2}"
_DOCSTRING: Final = re.compile(r"([A-Z0-9, -]{2,40}?)(?:, small)?[:.] (.+)", re.DOTALL)
_NAME: Final = re.compile(r"test_([a-z]{2})_([0-9]{2})_([a-z0-9_]+)")


def played_by(item: pytest.Item) -> tuple[tuple[str, ...], str]:
    """Return the ids of the cases that a test plays, and what it does; no ids if it plays none."""
    for id, (path, sentence) in WHOLE.items():
        if item.path == path:
            return (id,), sentence
    function = getattr(item, "function", None)
    return told(getattr(function, "__name__", ""), getattr(function, "__doc__", None) or "")


def told(name: str, docstring: str) -> tuple[tuple[str, ...], str]:
    """Return the ids in a test's docstring or name, and what it does."""
    if (found := _DOCSTRING.match(docstring)) and (ids := re.findall(_ID, found[1])):
        return tuple(ids), " ".join(found[2].split())
    if named := _NAME.match(name):
        return (f"{named[1].upper()}-{named[2]}",), named[3].replace("_", " ")
    return (), ""
