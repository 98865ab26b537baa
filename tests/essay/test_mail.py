"""What is lost, told twice or turned round between phones is counted."""

from tests.essay.ledger import Ledger
from tests.essay.mail import Mail


def mail(*arrived: str) -> Mail:
    found = Mail()
    found.written["Anna", "Ben"] = ["one", "two", "three"]
    found.arrived["Anna", "Ben"] = list(arrived)
    return found


def failed(found: Mail) -> list[str]:
    ledger = Ledger()
    found.report(ledger)
    return [one.what for one in ledger.measures if not one.passed]


def test_letters_that_came_as_they_were_written_are_no_trouble() -> None:
    assert failed(mail("one", "two", "three")) == []


def test_a_lost_letter_is_counted() -> None:
    found = mail("one", "three")

    assert (found.lost, found.doubled, found.turned) == (1, 0, 0)
    assert failed(found) == ["of them lost"]


def test_a_letter_shown_twice_is_counted() -> None:
    found = mail("one", "two", "three", "two")

    assert (found.lost, found.doubled) == (0, 1)
    assert "shown twice" in failed(found)


def test_letters_turned_round_are_counted() -> None:
    found = mail("two", "one", "three")

    assert (found.lost, found.doubled, found.turned) == (0, 0, 1)


def test_a_letter_that_had_to_be_asked_for_again_is_counted() -> None:
    found = mail("one", "two", "three")
    found.missed = 1

    assert failed(found) == ["looks at which a letter said to be stored was missing"]


def test_where_nothing_was_written_nothing_is_shown() -> None:
    assert failed(Mail()) == ["letters written"]
