"""The vectors of docs/vectors that speak of `wire`: read, carried out, compared."""

import json
from typing import Any

import pytest

from tests.vectors.cases import FOLDER
from tests.vectors.make_wire import FILES
from tests.vectors.operations import OPERATIONS, run


def cases() -> list[Any]:
    """Return every case with its file's and its own name."""
    found = []
    for file in FILES:
        content = json.loads((FOLDER / file).read_text(encoding="ascii"))
        found += [pytest.param(one, id=f"{file}: {one['name']}") for one in content["cases"]]
    return found


@pytest.mark.parametrize("case", cases())
def test_the_code_agrees_with_the_vector(case: dict[str, Any]) -> None:
    expected = {key: case[key] for key in ("out", "error") if key in case}

    assert len(expected) == 1
    assert run(case["op"], case["in"]) == expected


@pytest.mark.parametrize("file", FILES)
def test_a_vector_file_comes_out_the_same_each_time(file: str) -> None:
    assert FILES[file]().text() == (FOLDER / file).read_text(encoding="ascii")


def test_there_are_many_ways_to_fail_and_every_format_has_some() -> None:
    """BI-12: published vectors of what must be refused, each with its code."""
    every = [param.values[0] for param in cases()]
    failing = [one for one in every if "error" in one]

    assert len(failing) >= 120
    assert {one["op"] for one in every} == set(OPERATIONS)
    readers = {"cbor", "id", "place", "gateway-code", "contact-code", "certificate", "verify"}
    readers |= {"pair-request", "pair-answer", "login", "lane-right", "parcel", "lane-opening"}
    readers |= {"frame", "statement", "card", "freshness-note", "prekey-upload", "prekey-bundles"}
    readers |= {"push-address", "push-hours", "push-reach", "push-rules", "push-read", "push-why"}
    assert readers <= {one["op"] for one in failing}
