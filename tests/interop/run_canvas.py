"""Applies canvases with a real Celery client and tells what became of them: `run_canvas.py [N]
CASE...`.

It is an app of its own, so that it runs under any Celery; `celery -A run_canvas worker -Q python`
runs the same tasks in Python.

Prints {case: what}: `value` or `error` ([class, module, arguments]) as `get()` gives them, and what
else the case looks at. The tasks are those of `tests/own_worker`.
"""

import json
import os
import sys
import time

from celery import Celery, chain, chord, group
from celery.canvas import chunks, xmap, xstarmap
from celery.result import AsyncResult, GroupResult

app = Celery("run_canvas", broker=os.environ["REDIS"] + "/0", backend=os.environ["REDIS"] + "/0", set_as_current=True)

WITHIN = 60
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def s(task, *args, **options):
    return app.signature(f"e2e.{task}", args=args, options=options)


def si(task, *args, **options):
    return app.signature(f"e2e.{task}", args=args, options=options, immutable=True)


add = lambda *args: s("add", *args)  # noqa: E731


def outcome(result, **more):
    try:
        told = {"value": result.get(timeout=WITHIN)}
    except Exception as error:
        told = {"error": [type(error).__name__, type(error).__module__, [str(a) for a in error.args]]}
    return told | more


def meta(id):
    return app.backend.get_task_meta(id)


def state(id):
    """The final state of a task that nobody gets."""
    end = time.monotonic() + WITHIN
    while AsyncResult(id, app=app).state not in ("SUCCESS", "FAILURE", "REVOKED"):
        assert time.monotonic() < end, f"{id} has no final state"
        time.sleep(0.02)
    return AsyncResult(id, app=app).state


def stored(id):
    state(id)
    return AsyncResult(id, app=app).result


def ran():
    """What `e2e.note` wrote, once there is something."""
    end = time.monotonic() + WITHIN
    while not (lines := app.backend.client.lrange("e2e:ran", 0, -1)):
        assert time.monotonic() < end, "nothing ran"
        time.sleep(0.02)
    return [json.loads(line) for line in lines]


@case
def chains():
    result = chain(add(1, 2), add(3), add(4)).apply_async()
    first = result.parent.parent
    told = outcome(result)
    return told | {
        "steps": [first.result, result.parent.result],
        "parent_ids": [meta(r.id).get("parent_id") == p for r, p in
                       [(first, None), (result.parent, first.id), (result, result.parent.id)]],
        "children": [meta(r.id)["children"] == c for r, c in
                     [(first, [[[result.parent.id, None], None]]), (result, [])]],
    }


@case
def groups():
    return outcome(group(add(i, i) for i in range(5)).apply_async())


@case
def chords():
    result = chord([add(i, i) for i in range(10)], s("sum")).apply_async()
    told = outcome(result)
    gid = result.parent.id
    left = sorted(key.decode().split(gid)[1] for key in app.backend.client.keys(f"celery-taskset-meta-{gid}*"))
    return told | {"left": left, "header": result.parent.get(timeout=WITHIN)}


@case
def chord_of_chords():
    inner = [chord([add(i, 1), add(i, 2)], s("sum")) for i in range(3)]
    return outcome(chord(inner, s("sum")).apply_async())


@case
def chord_with_nested_groups():
    header = [add(1, 1), chain(add(1, 2), group(add(1), add(2)))]
    return outcome(chord(header, s("echo")).apply_async())


@case
def chord_in_a_chain():
    return outcome(chain(add(1, 1), group(add(1), add(2)), s("sum"), add(100)).apply_async())


@case
def chord_with_a_chain_as_body():
    return outcome(chord([add(1, 1), add(2, 2)], chain(s("sum"), add(10), add(20))).apply_async())


@case
def chord_of_chains():
    return outcome(chord([chain(add(i, 1), add(2)) for i in range(4)], s("sum")).apply_async())


@case
def chord_with_a_group_as_body():
    return outcome(chord([add(1, 1), add(2, 2)], group(s("echo", "a"), s("echo", "b"))).apply_async())


@case
def group_in_a_chain():
    return outcome(chain(add(1, 1), group(add(1), add(2))).apply_async())


@case
def chord_of_one_and_of_none():
    return [outcome(chord([add(1, 1)], s("sum")).apply_async()), outcome(chord([], s("sum")).apply_async())]


@case
def links():
    callback = s("note", task_id="linked-1")
    result = add(2, 2).apply_async(link=callback)
    told = outcome(result)
    assert state("linked-1") == "SUCCESS"
    return told | {"linked": AsyncResult("linked-1", app=app).result, "children": meta(result.id)["children"]}


@case
def two_links():
    result = add(2, 2).apply_async(link=[s("echo", "a", task_id="two-a"), si("echo", "b", task_id="two-b")])
    told = outcome(result)
    children = meta(result.id)["children"]
    return told | {
        "a": stored("two-a"),
        "b": stored("two-b"),
        "members": [member[0][0] for member in children[0][1]],
    }


@case
def link_errors():
    result = s("fail", "boom").apply_async(link_error=s("note"))
    told = outcome(result)
    [[what, _, parent, root]] = ran()
    return told | {"told": [what == result.id, parent == result.id, root == result.id]}


@case
def failing_chain():
    result = chain(add(1, 2), si("fail", "in the middle"), add(3), s("note")).apply_async()
    told = outcome(result)
    middle, third = result.parent.parent, result.parent
    return told | {
        "states": [state(r.id) for r in (middle, third, result)],
        "same": meta(middle.id)["traceback"] == meta(result.id)["traceback"] is not None,
    }


@case
def failing_chord():
    body = s("sum")
    body.link_error(s("note"))
    result = chord([add(1, 1), s("fail", "hdr"), add(2, 2)], body).apply_async()
    told = outcome(result, failed=None)
    end = state(result.id)
    [[what, *_]] = ran()
    failed = [m.id for m in result.parent.results if m.state == "FAILURE"]
    return told | {
        "state": end,
        "text": meta(result.id)["result"].args[0] == f"Dependency {failed[0]} raised ValueError('hdr')",
        "told": what == result.id,
    }


@case
def failing_chord_of_chords():
    inner = [chord([add(1, 1), s("fail", "deep")], s("sum")), chord([add(1, 1)], s("sum"))]
    result = chord(inner, s("sum")).apply_async()
    return {"state": state(result.id), "type": type(meta(result.id)["result"]).__name__}


@case
def failing_chain_in_a_chord():
    header = [chain(s("fail", "first"), add(1), add(2)), add(1, 1)]
    result = chord(header, s("sum")).apply_async()
    return {"state": state(result.id), "text": meta(result.id)["result"].args[0].split(" raised ")[1]}


@case
def expired_header():
    result = chord([add(1, 1), add(2, 2).set(expires=-5)], s("sum")).apply_async()
    return {"state": state(result.id), "text": meta(result.id)["result"].args[0].split(" raised ")[1]}


@case
def ignored_header():
    return outcome(chord([s("ignored", 1, 1), s("ignored", 2, 2)], s("sum")).apply_async())


@case
def retries_in_canvases():
    header = [s("flaky", 1), s("flaky", 2)]
    return outcome(chain(group(header), s("sum"), s("add", 10)).apply_async())


@case
def maps():
    return [
        outcome(xmap(s("sum"), [[1, 2], [3], []], app=app).apply_async()),
        outcome(xstarmap(s("add"), [(1, 2), (3, 4)], app=app).apply_async()),
        outcome(chunks(s("add"), [(i, i) for i in range(7)], 3, app=app).apply_async()),
        outcome(chain(s("echo"), xstarmap(s("add"), [(1, 2)], app=app)).apply_async()),
        outcome(xmap(s("fail"), ["no"], app=app).apply_async()),
    ]


@case
def builtins():
    accumulate = app.signature("celery.accumulate", kwargs={"index": 0})
    return [
        outcome(chord([add(1, 2)], accumulate).apply_async()),
        outcome(app.send_task("celery.accumulate", args=[1, 2])),
        outcome(app.send_task("celery.chain")),
        outcome(app.send_task("celery.backend_cleanup")),
    ]


@case
def children_of_a_task():
    result = s("publishes").apply_async()
    ids = result.get(timeout=WITHIN)
    children = [child.id for child in result.children]
    got = [outcome(child) for child in result.children]
    return {"same": children == ids, "got": got, "parents": [meta(id)["parent_id"] == result.id for id in ids]}


@case
def saved_groups():
    result = group(add(1, 1), add(2, 2)).apply_async()
    result.save()
    # 5.4's own get() of a restored group waits in vain for what is stored already.
    return {"value": [stored(one.id) for one in GroupResult.restore(result.id, app=app).results]}


def mixed(task, *args, python):
    return s(task, *args, queue="python" if python else "celery")


@case
def chords_of_a_mixed_fleet():
    """Header and body here and there, so that either side finishes some of the chords and publishes
    some of the bodies.
    """
    told = []
    for seed in range(12):
        header = [mixed("add", i, 1, python=(seed >> (i % 3)) & 1) for i in range(6)]
        if seed % 4 == 3:
            header.append(mixed("fail", "hdr", python=seed & 4))
        result = chord(header, mixed("sum", python=seed & 2)).apply_async()
        told.append(state(result.id) if seed % 4 == 3 else outcome(result)["value"])
    return told


@case
def chains_of_a_mixed_fleet():
    steps = [mixed("add", 0, 0, python=False)] + [mixed("add", 1, python=i & 1) for i in range(10)]
    tail = chord([mixed("add", 1, python=i & 1) for i in range(4)], mixed("sum", python=True))
    return outcome(chain(*steps, tail, mixed("add", 100, python=False)).apply_async())


@app.task(name="e2e.add")
def python_add(x, y):
    return x + y


@app.task(name="e2e.sum")
def python_sum(numbers):
    return sum(numbers)


@app.task(name="e2e.fail")
def python_fail(text):
    raise ValueError(text)


@case
def large_chord():
    n = number() or 1000
    return outcome(chord([add(i, 0) for i in range(n)], s("sum")).apply_async())


@case
def long_chain():
    n = number() or 200
    return outcome(chain([add(0, 0)] + [add(1)] * (n - 1)).apply_async())


def number():
    return int(sys.argv[1]) if sys.argv[1].isdigit() else None


if __name__ == "__main__":
    told = {}
    for name in sys.argv[2 if number() else 1:]:
        app.backend.client.delete("e2e:ran")
        told[name] = CASES[name]()
    print(json.dumps(told))
