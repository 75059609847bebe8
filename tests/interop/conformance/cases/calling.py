"""The options of `apply_async`."""

from datetime import datetime, timedelta, timezone

from ..app import add, app, done, echo, fail, failed, identity, noted, retry_then, whoami
from . import case


@case("calling: countdown and eta")
def a_countdown():
    return whoami.apply_async(countdown=1)


@case("calling: countdown and eta")
def an_eta_with_an_offset():
    when = datetime.now(timezone(timedelta(hours=5, minutes=30))) + timedelta(seconds=1)
    return add.apply_async((1, 2), eta=when)


@case("calling: countdown and eta")
def an_eta_without_an_offset():
    when = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(seconds=1)
    return add.apply_async((1, 2), eta=when)


@case("calling: countdown and eta")
def an_eta_long_past():
    return add.apply_async((1, 2), eta=datetime(2020, 1, 1, tzinfo=timezone.utc))


@case("calling: expires")
def expired_before_it_was_seen():
    return add.apply_async((1, 2), expires=datetime(2020, 1, 1, tzinfo=timezone.utc))


@case("calling: expires")
def expired_before_its_countdown():
    return add.apply_async((1, 2), countdown=2, expires=1)


@case("calling: expires")
def not_expired():
    return add.apply_async((1, 2), expires=60)


@case("calling: expires")
def the_first_step_of_a_chain():
    step = add.s(1, 2).set(expires=datetime(2020, 1, 1, tzinfo=timezone.utc))
    return (step | add.s(1)).delay()


@case("calling: priority")
def is_told_to_the_task():
    return [whoami.apply_async(priority=priority) for priority in (0, 3, 5, 9)]


@case("calling: link")
def one_callback():
    return add.apply_async((1, 2), link=done.s())


@case("calling: link")
def two_callbacks():
    return add.apply_async((1, 2), link=[done.s(note="first"), done.s(note="second")])


@case("calling: link")
def an_immutable_callback():
    return add.apply_async((1, 2), link=done.si("own", note="value"))


@case("calling: link")
def a_callback_with_a_callback():
    return add.apply_async((1, 2), link=add.s(10).set(link=[done.s()]))


@case("calling: link")
def a_chain_as_callback():
    return add.apply_async((1, 2), link=add.s(10) | done.s())


@case("calling: link")
def none_after_a_failure():
    return fail.apply_async(link=done.s())


@case("calling: link_error")
def an_errback_that_takes_the_id():
    return fail.apply_async(link_error=failed.s())


@case("calling: link_error")
def two_errbacks():
    return fail.apply_async(link_error=[failed.s(), failed.s()])


@case("calling: link_error")
def an_immutable_errback():
    return fail.apply_async(link_error=failed.si("of its own"))


@case("calling: link_error")
def an_errback_that_takes_request_exception_and_traceback():
    return fail.apply_async(link_error=noted.s())


@case("calling: link_error")
def none_after_a_success():
    return add.apply_async((1, 2), link_error=failed.s())


@case("calling: link_error")
def after_the_last_retry():
    from ..app import exhausts

    return exhausts.apply_async(("gone",), link_error=failed.s())


@case("calling: link_error")
def of_a_task_that_nobody_registers():
    return app.send_task("conformance.nobody", link_error=failed.s())


@case("calling: compression")
def zlib():
    return echo.apply_async((["compress me"] * 50,), compression="zlib")


@case("calling: compression")
def gzip():
    return echo.apply_async((["compress me"] * 50,), compression="gzip")


@case("calling: compression")
def bzip2():
    return echo.apply_async((["compress me"] * 50,), compression="bzip2")


@case("calling: compression")
def zstd():
    return echo.apply_async((["compress me"] * 50,), compression="zstd")


@case("calling: serializers")
def msgpack():
    return echo.apply_async((1, "zwei ü", None, [2.5, {"a": True}]), {"k": 2**40}, serializer="msgpack")


@case("calling: serializers")
def msgpack_through_a_chain():
    return (add.s(1, 2).set(serializer="msgpack") | add.s(3)).apply_async(serializer="msgpack")


@case("calling: refused serializers")
def pickle():
    return [], [add.apply_async((1, 2), serializer="pickle")]


@case("calling: shadow")
def another_name_is_only_shown():
    return whoami.apply_async(shadow="shown as this")


@case("calling: headers")
def custom_headers_reach_the_task():
    return whoami.apply_async(headers={"x-trace": "abc"})


@case("calling: headers")
def custom_headers_survive_a_retry():
    return retry_then.apply_async((1, "kept"), headers={"x-trace": "abc"}, link=whoami.s())


@case("calling: stamps")
def stamps_reach_the_task():
    signature = whoami.s()
    signature.stamp(order="o-1")
    return signature.apply_async()


@case("calling: stamps")
def stamps_pass_down_a_chain():
    chain = whoami.s() | whoami.s() | whoami.s()
    chain.stamp(order="o-1")
    return chain.apply_async()


@case("calling: queues")
def another_queue():
    return whoami.apply_async(queue="second")


@case("calling: large messages")
def an_argument_of_1_MB():
    return add.apply_async(("x" * 1_000_000, 1))


@case("calling: large messages")
def a_result_of_1_MB_in_a_chain():
    return (identity.s(["y" * 1000] * 1000) | add.s(0)).apply_async()
