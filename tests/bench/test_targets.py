"""A row is met, missed or not measured, and what was not measured is never met."""

import pytest

from bench.targets import (
    AT_PHONES,
    COLUMNS,
    FOOTPRINT,
    PLACES,
    TARGETS,
    Goal,
    Row,
    Seen,
    Verdict,
    judge,
)


def number(name: str) -> Goal:
    return Goal("x", lambda seen: seen(name), 2.0, 4.0, at_least=True)


ROW = Row("1", "a rate", (number("rate"),))


@pytest.mark.parametrize(
    ("value", "verdict", "missed_by"),
    [
        (5.0, Verdict.STRETCH, 0.0),
        (4.0, Verdict.STRETCH, 0.0),
        (2.0, Verdict.MET, 0.0),
        (1.0, Verdict.MISSED, 0.5),
    ],
)
def test_a_value_is_compared_with_both_bounds(
    value: float, verdict: Verdict, missed_by: float
) -> None:
    judged = judge(ROW, {"tls.rate": value}, column="tls")

    assert judged.verdict is verdict
    assert judged.missed_by == missed_by


def test_what_was_not_measured_is_not_met() -> None:
    assert judge(ROW, {"plain.rate": 9.0}, column="tls").verdict is Verdict.NOT_MEASURED


def test_a_row_of_which_one_number_is_missing_is_not_met() -> None:
    row = Row("1", "two rates", (number("rate"), number("other")))

    assert judge(row, {"tls.rate": 9.0}, column="tls").verdict is Verdict.NOT_MEASURED


def test_a_row_is_missed_if_one_of_its_numbers_is() -> None:
    row = Row("1", "two rates", (number("rate"), number("other")))

    judged = judge(row, {"tls.rate": 9.0, "tls.other": 1.0}, column="tls")

    assert judged.verdict is Verdict.MISSED
    assert judged.missed_by == 0.5


def test_less_is_better_where_nothing_else_is_said() -> None:
    row = Row("6", "missing", (Goal("missing", lambda seen: seen("lost"), 0.0, 0.0),))

    assert judge(row, {"tls.lost": 0.0}, column="tls").verdict is Verdict.STRETCH
    assert judge(row, {"tls.lost": 1.0}, column="tls").verdict is Verdict.MISSED


def test_a_number_without_a_target_is_shown() -> None:
    row = Row("F1", "memory", (Goal("MB", lambda seen: seen("memory")),))

    assert judge(row, {"tls.memory": 3.0}, column="tls").verdict is Verdict.SHOWN
    assert judge(row, {}, column="tls").verdict is Verdict.NOT_MEASURED


def test_a_row_that_only_reaches_higher_is_missed_or_reached() -> None:
    row = Row("9", "early", (Goal("flushes", lambda seen: seen("early"), None, 0.3),))

    assert judge(row, {"tls.early": 0.2}, column="tls").verdict is Verdict.STRETCH
    assert judge(row, {"tls.early": 0.6}, column="tls").verdict is Verdict.SHORT


def test_a_bound_may_differ_between_columns() -> None:
    bound = {"plain": 32.0, "tls": 75.0}
    row = Row("13", "memory", (Goal("kB", lambda seen: seen("memory"), bound),))
    figures = {"plain.memory": 50.0, "tls.memory": 50.0}

    assert judge(row, figures, column="plain").verdict is Verdict.MISSED
    assert judge(row, figures, column="tls").verdict is Verdict.MET


def test_rates_are_compared_by_way_of_the_floor_of_their_minute() -> None:
    figures = {"tls.batch.rate": 30.0, "tls.batch.floor_rate": 60.0,
               "nats.one.rate": 40.0, "nats.one.floor_rate": 160.0}  # fmt: skip
    seen, goals = Seen(figures, "tls"), TARGETS[0].goals

    assert goals[0].value(seen) == 0.5
    assert goals[1].value(seen) == 2.0


def test_no_two_rows_have_one_number_and_every_row_is_judged_with_nothing_measured() -> None:
    tables = [((*TARGETS, *FOOTPRINT), COLUMNS), (AT_PHONES, PLACES)]
    rows = [row for table, _ in tables for row in table]

    assert len({row.id for row in rows}) == len(rows)
    assert {
        judge(row, {}, column=column).verdict
        for table, columns in tables
        for row in table
        for column in columns
    } == {Verdict.NOT_MEASURED}


def test_the_rows_of_phones_are_numbered_in_their_order() -> None:
    assert [row.id for row in AT_PHONES] == [f"K{one + 1}" for one in range(len(AT_PHONES))]
