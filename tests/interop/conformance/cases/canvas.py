"""Workflows: what the client sends as one and the workers carry on."""

from celery import chain, chord, chunks, group

from ..app import add, done, echo, fail, failed, identity, ignored, mul, retry_then, whoami, xsum
from . import case


@case("canvas: chain")
def three_steps():
    return chain(add.s(1, 2), mul.s(10), add.s(4)).delay()


@case("canvas: chain")
def an_immutable_step():
    return chain(add.s(1, 2), add.si(7, 7), add.s(1)).delay()


@case("canvas: chain")
def a_chain_in_a_chain():
    return chain(add.s(1, 2), chain(add.s(3), chain(mul.s(2), add.s(1))), add.s(4)).delay()


@case("canvas: chain")
def relations_of_its_steps():
    return chain(whoami.s(), whoami.s(), whoami.s()).delay()


@case("canvas: chain")
def fifty_steps():
    return chain([add.s(0, 0)] + [add.s(1)] * 49).delay()


@case("canvas: chain")
def a_link_on_the_chain():
    return chain(add.s(1, 2), add.s(3)).apply_async(link=done.s())


@case("canvas: chain")
def options_of_a_step():
    return chain(add.s(1, 2), whoami.s().set(queue="second", priority=3, headers={"x-trace": "t"})).delay()


@case("canvas: chain")
def a_countdown_in_the_middle():
    return chain(add.s(1, 2), add.s(3).set(countdown=0.3), add.s(4)).delay()


@case("canvas: chain")
def an_ignored_result_in_the_middle():
    return chain(add.s(1, 2), ignored.s(), add.s(3)).delay()


@case("canvas: errors in a chain")
def the_first_step_fails():
    return chain(fail.s(), add.s(1), add.s(2)).delay()


@case("canvas: errors in a chain")
def the_middle_fails():
    return chain(add.s(1, 2), fail.s(kind="Broken", arguments=[1, "b"]), add.s(1), add.s(2)).delay()


@case("canvas: errors in a chain")
def the_last_step_fails():
    return chain(add.s(1, 2), fail.s()).delay()


@case("canvas: errors in a chain")
def an_errback_on_the_chain():
    return chain(add.s(1, 2), fail.s(), add.s(1)).apply_async(link_error=failed.s())


@case("canvas: errors in a chain")
def an_errback_on_a_later_step():
    return chain(fail.s(), add.s(1).on_error(failed.s())).apply_async()


@case("canvas: errors in a chain")
def a_group_after_the_failure():
    return chain(add.s(1, 1), fail.s(), group(add.s(1), add.s(2))).apply_async()


@case("canvas: errors in a chain")
def a_chord_after_the_failure():
    return chain(fail.s(), group(add.s(1), add.s(2)), xsum.s()).apply_async()


@case("canvas: group")
def three_members():
    return group(add.s(i, i) for i in range(3)).delay()


@case("canvas: group")
def relations_of_its_members():
    return group(whoami.s(), whoami.s()).delay()


@case("canvas: group")
def one_member():
    return group([add.s(1, 2)]).delay()


@case("canvas: group")
def a_group_in_a_group():
    return group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))).delay()


@case("canvas: group")
def chains_as_members():
    return group(chain(add.s(1, 1), add.s(1)), chain(add.s(2, 2), mul.s(2))).delay()


@case("canvas: group")
def a_failing_member():
    return group(add.s(1, 1), fail.s(), add.s(2, 2)).delay()


@case("canvas: group")
def after_a_step():
    return chain(add.s(1, 2), group(add.s(1), mul.s(2), whoami.s())).delay()


@case("canvas: group")
def a_hundred_members():
    return group(add.s(i, 1) for i in range(100)).delay()


@case("canvas: group")
def saved_and_restored():
    from celery.result import GroupResult

    result = group(add.s(1, 1), add.s(2, 2)).delay()
    result.save()
    restored = GroupResult.restore(result.id)
    return restored


@case("canvas: group")
def errbacks_of_its_members():
    return group(fail.s().on_error(failed.s()), add.s(1, 1).on_error(failed.s())).apply_async()


@case("canvas: chord")
def three_parts():
    return chord([add.s(i, i) for i in range(3)])(xsum.s())


@case("canvas: chord")
def one_part():
    return chord([add.s(1, 2)])(xsum.s())


@case("canvas: chord")
def the_order_of_results():
    return chord([identity.s(0), retry_then.s(1, "slow"), identity.s(2)])(identity.s())


@case("canvas: chord")
def relations_of_its_tasks():
    return chord([whoami.s(), whoami.s()])(whoami.s())


@case("canvas: chord")
def an_immutable_body():
    return chord([add.s(1, 1), add.s(2, 2)])(done.si("body"))


@case("canvas: chord")
def chains_as_parts():
    return chord([chain(add.s(1, 1), add.s(1)), chain(add.s(2, 2), mul.s(3), add.s(1))])(xsum.s())


@case("canvas: chord")
def a_chain_as_body():
    return chord([add.s(1, 1), add.s(2, 2)])(xsum.s() | mul.s(2) | add.s(1))


@case("canvas: chord")
def a_group_as_body():
    return chord([add.s(1, 1), add.s(2, 2)])(group(xsum.s(), identity.s()))


@case("canvas: chord")
def a_link_on_the_body():
    return chord([add.s(1, 1), add.s(2, 2)])(xsum.s().set(link=[done.s()]))


@case("canvas: chord")
def a_part_whose_result_is_ignored():
    return chord([ignored.s(5), add.s(1, 1).set(countdown=3)])(xsum.s())


@case("canvas: chord")
def of_a_chain_step():
    return chain(add.s(1, 2), group(add.s(1), add.s(2)), xsum.s()).delay()


@case("canvas: chord")
def of_a_chain_step_with_steps_after_it():
    return chain(add.s(1, 2), group(add.s(1), add.s(2)), xsum.s(), mul.s(2), add.s(1)).delay()


@case("canvas: chord")
def a_hundred_parts():
    return chord([add.s(i, i) for i in range(100)])(xsum.s())


@case("canvas: chord of chords")
def chords_as_parts():
    inner = [chord([add.s(i, 1), add.s(i, 2)], xsum.s()) for i in range(2)]
    return chord(inner)(xsum.s())


@case("canvas: chord of chords")
def a_chord_as_body():
    return chord([add.s(1, 1), add.s(2, 2)])(chord([echo.s(), xsum.s()], xsum.s()))


@case("canvas: chord of chords")
def two_groups_in_a_row():
    return chain(group(add.s(1, 1), add.s(2, 2)), group(xsum.s(), xsum.s()), xsum.s()).delay()


@case("canvas: chord of chords")
def a_group_as_part():
    return chord([group(add.s(1, 1), add.s(2, 2)), add.s(3, 3)])(xsum.s())


@case("canvas: errors in a chord")
def a_part_fails():
    return chord([add.s(1, 1), fail.s(kind="KeyError", arguments=["part"]), add.s(2, 2)])(xsum.s())


@case("canvas: errors in a chord")
def the_body_fails():
    return chord([add.s(1, 1), add.s(2, 2)])(fail.s())


@case("canvas: errors in a chord")
def an_errback_on_the_body():
    return chord([add.s(1, 1), fail.s()])(xsum.s().on_error(failed.s()))


@case("canvas: errors in a chord")
def an_errback_on_a_body_that_fails():
    return chord([add.s(1, 1), add.s(2, 2)])(fail.s().on_error(failed.s()))


@case("canvas: errors in a chord")
def a_part_that_retries_and_fails():
    from ..app import exhausts

    return chord([add.s(1, 1), exhausts.s("part")])(xsum.s())


@case("canvas: errors in a chord")
def steps_after_a_failed_chord():
    return chain(group(add.s(1, 1), fail.s()), xsum.s(), add.s(1)).delay()


@case("canvas: errors in a chord")
def a_failure_in_an_inner_chord():
    inner = chord([add.s(1, 1), fail.s()], xsum.s())
    return chord([inner, add.s(2, 2)])(xsum.s())


@case("canvas: map, starmap, chunks")
def xmap():
    return xsum.map([[1, 2], [3, 4], []]).apply_async()


@case("canvas: map, starmap, chunks")
def starmap():
    return add.starmap([(1, 2), (3, 4)]).apply_async()


@case("canvas: map, starmap, chunks")
def chunked():
    return add.chunks([(i, i) for i in range(5)], 2).apply_async()


@case("canvas: map, starmap, chunks")
def a_chunk_as_a_group_in_a_chord():
    return chord(add.chunks([(i, i) for i in range(5)], 2).group())(xsum.s())


@case("canvas: map, starmap, chunks")
def a_failing_item():
    return add.starmap([(1, 2), (1,)]).apply_async()


@case("canvas: map, starmap, chunks")
def of_a_task_that_fails():
    return fail.map([1]).apply_async()
