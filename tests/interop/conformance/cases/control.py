"""Remote control: what a worker answers, and what it then does.

The procedures that change a worker's state talk to one that was started for them (`own`), on queue
`own`.
"""

import re
import time

from ..app import add, nothing, sleep
from ..shape import named, shape
from . import procedure

OWN = {"queue": "own"}
SOON = 10


def ask(run, method, node, within=5, **arguments):
    """Sends a command to one node and returns its answer; None when none came."""
    replies = run.app.control.broadcast(
        method, arguments=arguments, destination=[node], reply=True, limit=1, timeout=within
    )
    return next((reply[node] for reply in replies or [] if node in reply), None)


def answer(method, **arguments):
    """Makes a procedure's body of one question."""

    def body(run):
        return ask(run, method, run.own().node, **arguments)

    return body


def eventually(probe, within=SOON):
    """Looks again until the probe returns something true, and returns that; else its last answer."""
    deadline = time.monotonic() + within
    while not (seen := probe()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def ended(run, result, within=SOON):
    """Waits for a task and returns [state, result]."""
    run.watch.final([result.id], within)
    state = result.state
    return [state, repr(result.result) if result.failed() or state == "REVOKED" else result.result]


def started(run, *results):
    assert run.watch.until(lambda: all("STARTED" in run.watch.states.get(one.id, []) for one in results), SOON)


@procedure("control: ping")
def to_one_node(run):
    return ask(run, "ping", run.node)


@procedure("control: ping")
def to_all_nodes(run):
    run.own()
    replies = run.app.control.broadcast("ping", reply=True, timeout=1)
    return sorted(replies, key=str)


@procedure("control: ping")
def to_a_node_that_is_not_there(run):
    return ask(run, "ping", "nobody@host", within=0.5)


@procedure("control: ping")
def to_nodes_that_match_a_pattern(run):
    run.own()
    found = {}
    for pattern, matcher in (("own*", "glob"), ("^under", "pcre"), ("nobody*", "glob")):
        replies = run.app.control.broadcast("ping", pattern=pattern, matcher=matcher, reply=True, timeout=0.7)
        found[pattern] = sorted(next(iter(reply)) for reply in replies or [] if not next(iter(reply)).startswith("ext"))
    return found


@procedure("control: ping")
def while_all_slots_are_busy(run):
    node = run.own().node
    busy = [sleep.apply_async((1,), **OWN) for _ in range(2)]
    started(run, *busy)
    said = ask(run, "ping", node)
    return [said, [ended(run, one) for one in busy]]


@procedure("control: inspect a running task")
def active(run):
    node = run.own().node
    running = sleep.apply_async((1.5,), **OWN)
    started(run, running)
    seen = {
        "active": ask(run, "active", node),
        "query_task": ask(run, "query_task", node, ids=[running.id, "no-such-id"]),
    }
    ended(run, running)
    return named(seen)


@procedure("control: inspect a running task")
def nothing_is_active(run):
    node = run.own().node
    return eventually(lambda: ask(run, "active", node) == []) and ask(run, "reserved", node)


@procedure("control: inspect a waiting task")
def reserved(run):
    node = run.own().node
    tasks = [sleep.apply_async((1,), **OWN) for _ in range(3)]
    started(run, *tasks[:2])
    seen = eventually(lambda: ask(run, "reserved", node), 1)
    for one in tasks:
        ended(run, one)
    return named(seen)


@procedure("control: inspect a waiting task")
def scheduled(run):
    node = run.own().node
    later = add.apply_async((1, 2), countdown=2, **OWN)
    seen = eventually(lambda: ask(run, "scheduled", node), 3)
    return named([seen, ask(run, "query_task", node, ids=[later.id]), ended(run, later)])


@procedure("control: inspect the worker")
def registered(run):
    names = ask(run, "registered", run.node)
    return [name for name in names if name.startswith("conformance.")]


@procedure("control: inspect the worker")
def registered_tasks_of_celery_itself(run):
    names = ask(run, "registered", run.node)
    return [name for name in names if not name.startswith("conformance.")]


@procedure("control: inspect the worker")
def active_queues(run):
    return sorted(ask(run, "active_queues", run.node), key=lambda queue: queue["name"])


@procedure("control: inspect the worker")
def stats(run):
    told = ask(run, "stats", run.node)
    told["total"] = sorted(name for name in told["total"] if name.startswith("conformance."))
    return shape(told)


@procedure("control: inspect the worker")
def totals_count_tasks(run):
    node = run.own().node

    def count():
        return ask(run, "stats", node)["total"].get("conformance.nothing", 0)

    before = count()
    for result in [nothing.apply_async(**OWN) for _ in range(3)]:
        ended(run, result)
    return eventually(lambda: count() - before == 3)


@procedure("control: inspect the worker")
def conf(run):
    told = ask(run, "conf", run.node)
    shown = {key: told.get(key, "(absent)") for key in ("task_track_started", "broker_url", "result_backend")}
    return {key: re.sub(r":\d+/", ":PORT/", value) if isinstance(value, str) else value for key, value in shown.items()}


@procedure("control: inspect the worker")
def report(run):
    told = ask(run, "report", run.node)
    return [sorted(told), type(told.get("ok")).__name__]


@procedure("control: inspect the worker")
def clock(run):
    return shape(ask(run, "clock", run.node))


@procedure("control: inspect the worker")
def hello(run):
    return shape(ask(run, "hello", run.node, from_node="other@host", revoked={}) | {"revoked": None})


@procedure("control: revoke")
def a_task_that_waits(run):
    node = run.own().node
    ask(run, "cancel_consumer", node, queue="own")
    eventually(lambda: not any(queue["name"] == "own" for queue in ask(run, "active_queues", node)))
    first, second = (add.apply_async((n, n), **OWN) for n in (1, 2))
    said = ask(run, "revoke", node, task_id=first.id)
    ask(run, "add_consumer", node, queue="own")
    return named([said, ended(run, first), ended(run, second), first.id in ask(run, "revoked", node)])


@procedure("control: revoke")
def a_task_with_a_countdown(run):
    node = run.own().node
    later = add.apply_async((1, 2), countdown=60, **OWN)
    eventually(lambda: ask(run, "scheduled", node), 3)
    return named([ask(run, "revoke", node, task_id=later.id), ended(run, later, 2)])


@procedure("control: revoke")
def several_at_once(run):
    node = run.own().node
    several = [add.apply_async((n, n), countdown=60, **OWN) for n in range(2)]
    eventually(lambda: len(ask(run, "scheduled", node)) == 2, 3)
    ids = [one.id for one in several]
    said = ask(run, "revoke", node, task_id=ids)
    # Celery prints a set: the order of its members is chance.
    said = said and {key: value.replace(ids[0], "ID").replace(ids[1], "ID") for key, value in said.items()}
    return named([said, [ended(run, one, 2) for one in several]])


@procedure("control: revoke")
def a_running_task_goes_on(run):
    node = run.own().node
    running = sleep.apply_async((1,), **OWN)
    started(run, running)
    return named([ask(run, "revoke", node, task_id=running.id), ended(run, running)])


@procedure("control: terminate")
def a_running_task(run):
    node = run.own().node
    running = sleep.apply_async((30,), **OWN)
    started(run, running)
    said = ask(run, "revoke", node, task_id=running.id, terminate=True, signal="SIGTERM")
    again = nothing.apply_async(**OWN)
    return named([said, ended(run, running), ended(run, again)])


@procedure("control: terminate")
def an_unknown_id(run):
    node = run.own().node
    return named(ask(run, "revoke", node, task_id="no-such-id", terminate=True, signal="SIGTERM"))


@procedure("control: rate_limit")
def answers_(run):
    node = run.own().node
    return [
        ask(run, "rate_limit", node, task_name="conformance.nothing", rate_limit="100/s"),
        ask(run, "rate_limit", node, task_name="conformance.nothing", rate_limit=0),
        ask(run, "rate_limit", node, task_name="conformance.nobody", rate_limit="1/s"),
        ask(run, "rate_limit", node, task_name="conformance.nothing", rate_limit="many"),
    ]


@procedure("control: rate_limit")
def four_a_second(run):
    node = run.own().node
    ask(run, "rate_limit", node, task_name="conformance.nothing", rate_limit="4/s")
    begun = time.monotonic()
    for result in [nothing.apply_async(**OWN) for _ in range(6)]:
        ended(run, result)
    took = time.monotonic() - begun
    ask(run, "rate_limit", node, task_name="conformance.nothing", rate_limit=0)
    return {"six tasks take": "over a second" if 1.0 <= took < 5 else f"{took:.1f} s"}


@procedure("control: time_limit")
def answers(run):
    node = run.own().node
    return [
        ask(run, "time_limit", node, task_name="conformance.sleep", hard=100, soft=50),
        ask(run, "time_limit", node, task_name="conformance.nobody", hard=1),
    ]


@procedure("control: time_limit")
def ends_a_task(run):
    node = run.own().node
    ask(run, "time_limit", node, task_name="conformance.sleep", hard=1)
    running = sleep.apply_async((30,), **OWN)
    run.watch.final([running.id], 3)
    seen = running.state
    ask(run, "time_limit", node, task_name="conformance.sleep", hard=None, soft=None)
    if seen == "STARTED":
        ask(run, "revoke", node, task_id=running.id, terminate=True)
        ended(run, running)
    return [seen, ended(run, sleep.apply_async((1.2,), **OWN))]


@procedure("control: add_consumer and cancel_consumer")
def a_new_queue_is_served_and_left(run):
    node = run.own().node

    def queues():
        return sorted(queue["name"] for queue in ask(run, "active_queues", node))

    said = [ask(run, "add_consumer", node, queue="added"), ask(run, "add_consumer", node, queue="added")]
    served = ended(run, add.apply_async((1, 2), queue="added"))
    both = queues()
    said += [ask(run, "cancel_consumer", node, queue="added"), ask(run, "cancel_consumer", node, queue="added")]
    eventually(lambda: queues() == ["own"])
    left = add.apply_async((1, 2), queue="added")
    ended(run, nothing.apply_async(**OWN))
    return [said, served, both, queues(), left.state]


@procedure("control: pool_grow and pool_shrink")
def answers_and_work_goes_on(run):
    """How many run at once is not compared: it is chance when prefork's processes come and go. One
    that is just starting is too busy to go: that is asked for again."""
    node = run.own().node
    grown = ask(run, "pool_grow", node, n=2)

    def shrunk():
        answer = ask(run, "pool_shrink", node, n=2)
        return answer if "ok" in answer else None

    return [grown, eventually(shrunk), [ended(run, one) for one in [sleep.apply_async((0.2,), **OWN) for _ in range(6)]]]


@procedure("control: enable_events and disable_events")
def answers__(run):
    node = run.own().node
    ask(run, "disable_events", node)
    methods = ["enable_events", "enable_events", "disable_events", "disable_events"]
    return [ask(run, method, node) for method in methods]


@procedure("control: unknown method")
def is_refused(run):
    return ask(run, "no_such_method", run.own().node)


@procedure("control: heartbeat")
def sends_one_now(run):
    before = len(run.events_of(run.node, "worker-heartbeat"))
    run.app.control.broadcast("heartbeat", destination=[run.node])
    return run.watch.until(lambda: len(run.events_of(run.node, "worker-heartbeat")) > before, 1)


@procedure("stopping: by signal")
def what_runs_ends_and_what_waits_stays(run):
    worker = run.start_own("stopped@host", ["stopping"], 1)
    running = sleep.apply_async((1.5,), queue="stopping")
    started(run, running)
    waiting = [add.apply_async((n, n), queue="stopping") for n in range(3)]
    code = worker.stop()
    seen = [code, running.state, [one.state for one in waiting], run.watch.redis.llen("stopping")]
    run.start_own("next@host", ["stopping"], 1).stop()
    return seen + [[ended(run, one) for one in waiting]]


@procedure("control: shutdown")
def ends_the_process(run):
    worker = run.start_own("shut@host", ["shut"], 1)
    replies = run.app.control.broadcast("shutdown", destination=[worker.node], reply=True, timeout=0.5)
    return [replies, worker.ended(20)]


@procedure("calling: priority")
def zero_is_served_first(run):
    priorities = [9, 3, 0, 6, 5, 1, 9, 0]
    tasks = [nothing.apply_async(priority=priority, queue="ordered") for priority in priorities]
    run.start_own("ordered@host", ["ordered"], 1, ready=False)
    run.watch.final([one.id for one in tasks], 20)
    order = [task_id for task_id in run.watch.states if task_id in {one.id for one in tasks}]
    return [priorities[[one.id for one in tasks].index(task_id)] for task_id in order]
