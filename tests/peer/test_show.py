import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer import show

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ALLOWED = {"\u200c", "\u200d"}

anything = st.text(st.characters(), max_size=200) | st.text(
    st.sampled_from(f"a\x1b[]0;m\x07\x9b\n\r\t\x08\x7f{BIDI}\u2028\u0301\ud800"), max_size=60
)


def obeyed(shown: str) -> list[str]:
    """Return the characters of `shown` that a terminal would act on instead of showing."""
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [one for one in shown if unicodedata.category(one) in hidden and one not in ALLOWED]


@given(anything)
def test_a_text_never_holds_anything_that_a_terminal_obeys(said: str) -> None:
    assert set(obeyed(show.text(said))) <= {"\n"}


@given(anything)
def test_a_name_never_holds_anything_that_a_terminal_obeys(called: str) -> None:
    shown = show.name(called)

    assert obeyed(shown) == []
    assert len(shown) <= show.MAX_NAME


@given(anything)
def test_what_is_shown_can_always_be_written(said: str) -> None:
    show.text(said).encode("utf-8")
    show.name(said).encode("utf-8")


@given(anything)
def test_every_line_but_the_first_is_set_in(said: str) -> None:
    _first, *rest = show.text(said, indent="    ").split("\n")

    assert all(line.startswith("    ") for line in rest)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=80))
def test_plain_text_is_shown_as_it_is(said: str) -> None:
    if not any(ord(one) & 0xFFFE == 0xFFFE for one in said):
        assert show.text(said) == said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b]0;owned\x07hello", r"\x1b]0;owned\x07hello"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("one\ntwo", "one\ntwo"),
        ("one\r\ntwo", "one\ntwo"),
        ("100 %\rdone", r"100 %\rdone"),
        ("a\tb", "a b"),
        ("Łódź, Ελλάδα, 日本, שלום", "Łódź, Ελλάδα, 日本, שלום"),
        ("👩\u200d👧 می\u200cخواهم", "👩\u200d👧 می\u200cخواهم"),
        ("\ud800", r"\ud800"),
        ("\ufffe", r"\ufffe"),
    ],
)
def test_what_becomes_of_texts(said: str, shown: str) -> None:
    assert show.text(said) == shown


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("Ana\nBen: hello", r"Ana\nBen: hello"),
        ("  Ana   Maria ", "Ana Maria"),
        ("A" * 100, "A" * 59 + "…"),
        ("\u202eneB", r"\u202eneB"),
    ],
)
def test_what_becomes_of_names(called: str, shown: str) -> None:
    assert show.name(called) == shown


def test_marks_do_not_pile_up_over_other_lines() -> None:
    assert show.text("e" + "\u0301" * 50) == "e" + "\u0301" * show.MAX_MARKS
    assert show.text("ệ") == "ệ"
