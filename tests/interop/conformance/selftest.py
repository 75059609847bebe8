"""Checks the suite's own judgement: that it sees what differs, lets pass what is known, and nothing
besides.

Run as `python -m conformance.selftest`; silent when all is well.
"""

from . import compare, known, suite, table


def recording(version, **cases):
    return {"about": {"worker": version}, "cases": {name.replace("_", ": "): seen for name, seen in cases.items()}}


def judged(reference, worker, entries=(), newer=None):
    return compare.judge("Celery 9", reference, worker, list(entries), newer)


def what_differs_is_found():
    one = recording("9", a_x={"tasks": {"#1": {"status": "SUCCESS", "result": 3}}}, a_y=[1, 2])
    other = recording("", a_x={"tasks": {"#1": {"status": "SUCCESS", "result": 3.0}}}, a_y=[1])
    found = [(each.case, each.where) for each in judged(one, other).unexplained]
    assert found == [("a: x", "tasks > #1 > result"), ("a: y", "")], found
    assert judged(one, one).unexplained == []


def what_is_absent_on_one_side_is_found():
    one, other = recording("9", a_x={"k": None}), recording("", a_x={})
    assert len(judged(one, other).unexplained) == len(judged(other, one).unexplained) == 1


def a_known_difference_covers_its_place_only():
    one, other = recording("9", a_x={"k": 1, "l": 1}), recording("", a_x={"k": 2, "l": 2})
    entry = known.Known("because", "a: *", r"k$")
    verdict = judged(one, other, [entry])
    assert [each.where for each in verdict.unexplained] == ["l"]
    assert verdict.used == {entry}
    elsewhere = known.Known("because", "a: *", r"k$", "mixed*")
    assert len(judged(one, other, [elsewhere]).unexplained) == 2


def what_a_newer_Celery_does_too_is_between_its_versions():
    older, newer = recording("9", a_x={"k": 1, "l": 1}), recording("10", a_x={"k": 2, "l": 1})
    verdict = judged(older, recording("", a_x={"k": 2, "l": 3}), newer=newer)
    assert [each.where for each in verdict.unexplained] == ["l"]
    assert "as Celery 10" in verdict.cases["a: x"]


def a_table_tells_each_kind():
    one = recording("9", a_x={"k": 1}, b_x=1, c_x=1)
    other = recording("", a_x={"k": 2}, b_x=1, c_x=2)
    verdict = judged(one, other, [known.Known("because", "a: *")])
    text = table.table({"Celery 9": verdict, suite.MIXED_TITLE + "9": judged(one, one)})
    assert "| a | 1 | same¹ | works | because |" in text, text
    assert "| b | 1 | same | works |  |" in text, text
    assert "| c | 1 | **differs** | works |  |" in text, text
    document = f"head\n{table.BEGIN}\nold\n{table.END}\ntail\n"
    assert table.between_markers(table.replaced(document, text)) == text
    assert table.replaced(document, text).endswith("\ntail\n")


for check in (
    what_differs_is_found,
    what_is_absent_on_one_side_is_found,
    a_known_difference_covers_its_place_only,
    what_a_newer_Celery_does_too_is_between_its_versions,
    a_table_tells_each_kind,
):
    check()
