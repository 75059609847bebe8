"""What a client reads of a task that ended, and of one that has not."""

from ..app import (
    add,
    app,
    big,
    echo,
    exhausts,
    fail,
    family,
    identity,
    ignored,
    nothing,
    progress,
    retry_then,
    sleep,
    soft,
    typed,
)
from . import case

EXTENDED = {"queue": "extended"}


@case("results: success")
def values_of_every_json_type():
    values = [0, -7, 2**70, 1.5, 1e300, True, False, "", "grüße ☕ 🦀", [], [1, [2, []]], {}, {"a": {"b": None}}]
    return [identity.delay(value) for value in values]


@case("results: success")
def no_value():
    return nothing.delay()


@case("results: success")
def positional_and_keyword_arguments():
    return echo.delay(1, "two", three=3, four=[4])


@case("results: success")
def a_value_of_200_kB():
    return big.delay(200_000)


@case("results: special types")
def a_result_with_dates_decimals_and_uuids():
    return typed.delay()


@case("results: special types")
def an_argument_with_dates_decimals_and_uuids():
    from datetime import datetime, timezone
    from decimal import Decimal
    from uuid import UUID

    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    return identity.delay([when, when.date(), Decimal("1.10"), UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")])


@case("results: failure")
def builtin_exceptions():
    kinds = ["ValueError", "KeyError", "RuntimeError", "ZeroDivisionError", "OSError"]
    return [fail.delay(kind=kind, arguments=["because", kind]) for kind in kinds]


@case("results: failure")
def an_exception_of_the_application():
    return fail.delay(kind="Broken", arguments=[7, "detail"])


@case("results: failure")
def an_exception_class_inside_a_class():
    return fail.delay(kind="Inner", arguments=["ü"])


@case("results: failure")
def an_exception_without_arguments():
    return fail.delay(kind="RuntimeError", arguments=[])


def unchecked(*args, **kwargs):
    """Sends `add` as a client does that does not know its parameters."""
    return app.send_task("conformance.add", args=args, kwargs=kwargs)


@case("results: wrong arguments")
def too_few():
    return unchecked(1)


@case("results: wrong arguments")
def too_many():
    return unchecked(1, 2, 3)


@case("results: wrong arguments")
def an_unknown_keyword():
    return unchecked(1, 2, z=3)


@case("results: unknown task")
def a_name_that_nobody_registers():
    return app.send_task("conformance.nobody", args=[1])


@case("results: children")
def tasks_that_a_task_publishes():
    return family.delay(3)


@case("results: children")
def no_children():
    return family.delay(0)


@case("results: extended")
def a_success():
    return add.apply_async((1,), {"y": 2}, **EXTENDED)


@case("results: extended")
def a_failure():
    return fail.apply_async(("a",), {"kind": "KeyError"}, **EXTENDED)


@case("results: extended")
def a_retry():
    return retry_then.apply_async((1, "v"), **EXTENDED)


@case("results: ignore_result")
def by_the_task():
    return [], [ignored.delay(1)]


@case("results: ignore_result")
def by_the_call():
    return [], [add.apply_async((1, 2), ignore_result=True)]


@case("results: ignore_result")
def a_failure_by_the_call():
    return [], [fail.apply_async(ignore_result=True)]


@case("results: custom states")
def progress_in_three_steps():
    return progress.delay(3)


@case("results: retry")
def a_success_after_two_retries():
    return retry_then.delay(2, "value")


@case("results: retry")
def none_left():
    return exhausts.delay("gone")


@case("results: retry")
def in_a_chain():
    return (retry_then.s(1, 4) | add.s(1)).delay()


@case("results: time limits")
def a_hard_limit_of_the_call():
    return sleep.apply_async((30,), time_limit=1)


@case("results: time limits")
def a_soft_limit_that_the_task_obeys():
    return soft.apply_async((30,), soft_time_limit=1)


@case("results: time limits")
def a_soft_limit_that_the_task_does_not_catch():
    return sleep.apply_async((30,), soft_time_limit=1)


@case("results: time limits")
def a_limit_that_is_not_reached():
    return soft.apply_async((0.1,), time_limit=30, soft_time_limit=20)
