"""What the source itself has to keep to: secrets are compared in constant time, dice are good."""

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("wire", "gateway", "peer")
SECRETS: Final = {
    "secret", "secrets", "mac", "proof", "bearer", "token", "seed", "side", "word", "shared",
    "password", "passphrase", "signature", "lane_key", "child", "commitment",
}  # fmt: skip
"""What bytes are called that an attacker would like to guess one by one."""
LANES_IN_FRESH: Final = [
    ("peer/people/lanes.py", "secret not in fresh"),
    ("peer/ways/furnishing.py", "one.secret in fresh"),
]
"""A phone asks whether a lane is one that it minted itself a moment ago; nobody waits for it."""
OF_ONE_SIDE: Final = {"forgotten-count", "pair-request", "purge", "received", "set-up"}
"""Hashes by which a gateway or a phone knows again what it has; nobody else computes them."""
NAMED: Final = {
    "framed": 0, "hash16": 0, "hash32": 0, "mac16": 1, "sign": 1, "verify": 1, "domain": 0,
}  # fmt: skip
"""Functions that bind bytes to a purpose, and which of their arguments is its name."""
TOGETHER: Final = {("sign", "verify")}
"""Functions that must agree about a name."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module of ours, by its path."""
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            yield str(path.relative_to(PROJECT)), ast.parse(path.read_text(encoding="utf-8"))


def careless_comparisons(tree: ast.AST) -> Iterator[str]:
    """Yield comparisons of secrets that end at the first byte that differs."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        pairs = itertools.pairwise([node.left, *node.comparators])
        for operator, sides in zip(node.ops, pairs, strict=True):
            equality = isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn)
            if equality and any(_called(one) in SECRETS for one in sides):
                yield ast.unparse(node)


def _called(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _called(function)
        case ast.Subscript(value=value):
            return _called(value)
    return ""


def imported(tree: ast.AST) -> set[str]:
    """Return the names of the modules that a module imports."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {one.name for one in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module)
    return found


@dataclass(frozen=True, slots=True)
class Purpose:
    """A name to which bytes are bound, where that is done, and how."""

    name: str
    module: str
    how: str


def purposes(sources: Iterable[tuple[str, ast.Module]]) -> Iterator[Purpose]:
    """Yield every use of a name that separates one purpose from another."""
    for module, tree in sources:
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=function, args=arguments):
                    how = _called(function)
                    place = NAMED.get(how, len(arguments))
                    if place < len(arguments) and (name := _text(arguments[place])):
                        yield Purpose(name, module, how)
                case ast.Constant(value=bytes(info)) if info.startswith(b"homepost/"):
                    yield Purpose(info.decode("ascii"), module, "info")


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(one) or "{}" for one in values)
    return ""


def test_cy_07_no_secret_is_compared_with_equals() -> None:
    """CY-07: secrets are compared by hmac.compare_digest, nowhere by == or `in`."""
    found = [(path, one) for path, tree in sources() for one in careless_comparisons(tree)]

    assert found == LANES_IN_FRESH


def test_cy_07_nothing_that_matters_comes_from_random() -> None:
    """CY-07: dice are `secrets` and libsodium: no module imports `random`."""
    modules = dict(sources())

    assert [path for path, tree in modules.items() if imported(tree) & {"random", "uuid"}] == []
    assert len(modules) > 80


def test_cy_07_one_name_has_one_purpose() -> None:
    """CY-07: a name that separates hashes, proofs, signatures or keys stands in one module only."""
    places, ways = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for one in purposes(sources()):
        places[one.name].add(one.module)
        ways[one.name].add(one.how)

    assert len(places) > 30
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
    assert {
        name: found
        for name, found in ways.items()
        if len(found) > 1 and tuple(sorted(found)) not in TOGETHER
    } == {}


def test_cy_07_every_name_that_two_sides_use_is_in_the_protocol() -> None:
    """CY-07: whoever writes another phone finds each of them in docs/protocol.md."""
    protocol = (PROJECT / "docs" / "protocol.md").read_text(encoding="utf-8")
    names = {one.name.removeprefix("homepost/").removesuffix("/1") for one in purposes(sources())}
    starts = {one: one.partition("{")[0] for one in names}

    missing = {
        name
        for name, start in starts.items()
        if not any(mark + start in protocol for mark in ('"', "`", "homepost/"))
    }
    assert missing == OF_ONE_SIDE


@pytest.mark.parametrize(
    "careless",
    [
        "if request.mac == wanted: pass",
        "ok = wanted != self.proof",
        "found = one.secret in known",
        "secret[:4] == other",
        "proof() == other",
    ],
)
def test_cy_07_a_careless_comparison_is_noticed(careless: str) -> None:
    """CY-07: the search finds what it looks for."""
    assert list(careless_comparisons(ast.parse(careless)))


def test_cy_07_a_name_with_two_purposes_is_noticed() -> None:
    """CY-07: the same name in two modules is found, however it is written."""
    one = ast.parse('hash32("card", a)\nkey = hkdf(x, info=b"homepost/card/1")')
    other = ast.parse('sign(key, "card", body)\nmac16(key, f"card-{side}", x)')

    found = list(purposes([("one", one), ("other", other)]))

    assert [(it.name, it.module, it.how) for it in found] == [
        ("card", "one", "hash32"),
        ("homepost/card/1", "one", "info"),
        ("card", "other", "sign"),
        ("card-{}", "other", "mac16"),
    ]
