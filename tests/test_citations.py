"""What the code says about the specification is so: sections exist, and so do all codes.

docs/protocol.md §4.3       a section, cited from code, SQL, tests or another document
| lane-refused | 403 | …    a row of its §12, for each code that the gateway can answer with
"""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import pytest

import gateway
from gateway.errors import Refusal
from tests.gateway.served import open_served
from wire.errors import WireError

ROOT: Final = Path(__file__).parent.parent
SPECIFICATION: Final = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
SECTIONS: Final = re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", SPECIFICATION, flags=re.MULTILINE)
ROWS: Final = set(
    re.findall(r"^\| *`?([a-z-]+)`? *\| *(\S+) *\|", SPECIFICATION, flags=re.MULTILINE)
)
"""The first two cells of every row of every table whose first cell is a code."""
NUMBER: Final = r"§(\d+(?:\.\d+)*)(?:[-–](\d+(?:\.\d+)*))?"
CITATION: Final = re.compile(
    rf"docs/protocol\.md(?:\]\([^)]*\))?`?((?:(?:,|\s|#|-- |\band\b|;)*{NUMBER})+)"
)
"""The document's name and the sections that follow it, also over the end of a commented line."""
READ: Final = ("*.py", "*.sql", "*.md", "*.json", "*.toml")
FOLDERS: Final = ("wire", "gateway", "peer", "demo", "bench", "tests", "docs", "deploy")


def cited(text: str) -> list[str]:
    """Return the numbers of the protocol's sections that a text cites."""
    return [
        number
        for found in CITATION.finditer(text)
        for pair in re.findall(NUMBER, found[1])
        for number in pair
        if number
    ]


def files() -> Iterator[Path]:
    """Yield every file that may cite the protocol, but this one, which makes some up."""
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        for pattern in READ:
            yield from (path for path in (ROOT / folder).rglob(pattern) if path != Path(__file__))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(docs/protocol.md §3.4, §4.5).", ["3.4", "4.5"]),
        ("docs/protocol.md §8.1-8.3", ["8.1", "8.3"]),
        ("docs/protocol.md §4.2, §4.5, §5.2 and\n    # §12.", ["4.2", "4.5", "5.2", "12"]),
        ("`docs/protocol.md §12`, and RFC 8949 §4.2.1", ["12"]),
        ("[docs/protocol.md](docs/protocol.md) §2", ["2"]),
        ("docs/protocol.md and docs/vectors, RFC 5869 §2", []),
    ],
)
def test_a_citation_is_read_as_it_is_meant(text: str, numbers: list[str]) -> None:
    assert cited(text) == numbers


async def test_every_request_that_phones_can_make_is_described(tmp_path: Path) -> None:
    async with open_served(tmp_path) as served:
        rules = list(served.gateway.app.url_map.iter_rules())
    text = re.sub(r"\s+", " ", SPECIFICATION)
    asked = {
        f"{method} {re.sub(r'<(?:int:)?(slot|number|device)>', _in_words, rule.rule)}"
        for rule in rules
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    }

    assert {"POST /v1/login", "PUT /v1/rendezvous/SLOT/N", "GET /v1/card"} <= asked
    assert [one for one in sorted(asked) if not re.search(rf"`{re.escape(one)}[`?]", text)] == []


def _in_words(part: re.Match[str]) -> str:
    return {"slot": "SLOT", "number": "N", "device": "DEVICE"}[part[1]]


def test_every_section_that_is_cited_exists() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: §{number}"
        for path in files()
        for number in cited(path.read_text(encoding="utf-8"))
        if number not in SECTIONS
    ]

    assert wrong == []


def test_every_section_that_the_specification_names_in_itself_exists() -> None:
    own = re.sub(r"(?:RFC|FIPS|ISO|X\.\d+)[^§\n]*§[\d.]+", "", SPECIFICATION)

    assert {
        number for number in re.findall(r"§(\d+(?:\.\d+)*)", own) if number not in SECTIONS
    } == (set())


def test_no_number_of_a_section_is_given_twice() -> None:
    assert [number for number, times in Counter(SECTIONS).items() if times > 1] == []


T = TypeVar("T")


def kinds_of(kind: type[T]) -> list[type[T]]:
    """Return all classes that are derived from `kind`, however far."""
    return [one for child in kind.__subclasses__() for one in (child, *kinds_of(child))]


def refusals() -> list[type[Refusal]]:
    """Return every refusal that the gateway can answer with."""
    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        importlib.import_module(module.name)
    return [kind for kind in kinds_of(Refusal) if kind.__module__.startswith("gateway.")]


@pytest.mark.parametrize("refusal", refusals(), ids=lambda kind: kind.__name__)
def test_every_refusal_is_in_the_specification(refusal: type[Refusal]) -> None:
    assert (refusal.code, str(refusal.status)) in ROWS


@pytest.mark.parametrize("error", kinds_of(WireError), ids=lambda kind: kind.__name__)
def test_every_fault_of_the_other_side_is_in_the_specification(error: type[WireError]) -> None:
    assert error.code in {code for code, _ in ROWS}


def test_a_code_has_one_status_wherever_it_comes_from() -> None:
    pairs = {(refusal.code, refusal.status) for refusal in refusals()}
    times = Counter(code for code, _ in pairs)

    assert [code for code, number in times.items() if number > 1] == []


def test_codes_are_words_with_hyphens() -> None:
    assert [one.code for one in refusals() if not re.fullmatch(r"[a-z]+(-[a-z]+)*", one.code)] == []
