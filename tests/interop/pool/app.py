"""An application as shops have them, whose tasks a worker of ours runs in Python processes.

Environment: REDIS is the URL of the broker and of the results, NOTES a file that tasks and signals
write a line to for what they have seen.
"""

import ctypes
import os
import random
import signal
import time

from celery import Celery, Task, chord, signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.result import allow_join_result

REDIS = os.environ["REDIS"]
NOTES = os.environ.get("NOTES")

app = Celery("pool", broker=f"{REDIS}/0", backend=f"{REDIS}/0")
app.conf.update(accept_content=["json", "pickle", "msgpack"])
if os.environ.get("PICKLE"):
    app.conf.update(task_serializer="pickle", result_serializer="pickle")


def note(*words):
    with open(NOTES, "a") as notes:
        notes.write(" ".join(map(str, words)) + "\n")


for name in ("worker_init", "worker_process_init", "worker_process_shutdown", "worker_shutdown"):

    def told(name=name, **_):
        note("signal", name)

    getattr(signals, name).connect(told, weak=False)


@signals.task_prerun.connect
def prerun(task_id, task, **_):
    if task.name == "pool.custom":
        note("prerun", task_id)


@signals.task_postrun.connect
def postrun(task_id, task, state, **_):
    if task.name == "pool.custom":
        note("postrun", task_id, state)


class Noting(Task):
    def before_start(self, task_id, args, kwargs):
        note("before_start", task_id)

    def on_success(self, retval, task_id, args, kwargs):
        note("on_success", task_id, retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("on_failure", task_id, type(exc).__name__)

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note("on_retry", task_id)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("after_return", task_id, status)


@app.task(name="pool.custom", base=Noting, bind=True, max_retries=1)
def custom(self, how):
    if how == "retry":
        raise self.retry(countdown=0, exc=OSError("again"))
    if how == "fail":
        raise ValueError("no")
    return how


@app.task(name="pool.add")
def add(x, y):
    return x + y


@app.task(name="pool.pid")
def pid():
    return os.getpid()


@app.task(name="pool.request", bind=True)
def request(self):
    one = self.request
    return {
        "id": one.id,
        "root": one.root_id,
        "parent": one.parent_id,
        "retries": one.retries,
        "eager": one.is_eager,
        "args": one.args,
        "kwargs": one.kwargs,
        "hostname": one.hostname,
        "queue": one.delivery_info["routing_key"],
        "redelivered": one.delivery_info["redelivered"],
        "direct": one.called_directly,
        "reply_to": one.reply_to is not None,
        "correlation": one.correlation_id,
        "mine": one.headers,
    }


@app.task(name="pool.again", bind=True, max_retries=3)
def again(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.1, exc=OSError(f"attempt {self.request.retries}"))
    return self.request.retries


@app.task(name="pool.automatic", autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0, max_retries=2)
def automatic(path):
    with open(path, "a") as file:
        file.write("x")
    raise OSError("never")


@app.task(name="pool.progress", bind=True)
def progress(self, path):
    self.update_state(state="PROGRESS", meta={"done": 1})
    wait_for(path)
    return "done"


@app.task(name="pool.ignored", bind=True)
def ignored(self):
    self.update_state(state="FAILURE", meta={"exc_type": "Odd", "exc_message": ["own"], "exc_module": "x"})
    raise Ignore()


@app.task(name="pool.rejected")
def rejected():
    raise Reject("not this one", requeue=False)


@app.task(name="pool.replaced", bind=True)
def replaced(self, x):
    raise self.replace(add.s(x, 1))


@app.task(name="pool.publishes")
def publishes(x):
    return add.delay(x, 1).id


@app.task(name="pool.total")
def total(numbers):
    return sum(numbers)


@app.task(name="pool.adds_a_part", bind=True)
def adds_a_part(self, x):
    self.add_to_chord(add.s(10, 10))
    return x


@app.task(name="pool.chords")
def chords():
    """Waits for a chord of which one part adds another."""
    body = chord([adds_a_part.s(1), add.s(2, 2)])(total.s())
    with allow_join_result():
        return body.get(timeout=100)


class Price:
    """A value that only Python knows."""

    def __init__(self, amount):
        self.amount = amount

    def __str__(self):
        return f"price {self.amount}"


@app.task(name="pool.price")
def price(amount):
    return Price(amount)


@app.task(name="pool.shown")
def shown(value):
    return str(value)


@app.task(name="pool.prices")
def prices():
    """Waits for a chain whose first step returns what only Python knows."""
    with allow_join_result():
        return (price.s(3) | shown.s()).apply_async().get(timeout=100)


@app.task(name="pool.waits")
def waits(x):
    with allow_join_result():
        return add.delay(x, 1).get(timeout=100)


@app.task(name="pool.echo")
def echo(value):
    return value


@app.task(name="pool.kind")
def kind(value):
    return type(value).__name__


@app.task(name="pool.untidy")
def untidy():
    """Prints, forks, and closes descriptors."""
    print("this is printed, and no frame")
    os.write(1, b"\xff\xff\xff\xff and so is this\n")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    os.closerange(0, 10)
    return "still here"


@app.task(name="pool.forks")
def forks():
    """A process that it forks publishes by a connection of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            add.apply_async((20, 3), task_id="by-a-forked-process")
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def once(path):
    """Tells whether this is the first call with this file."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


@app.task(name="pool.dies")
def dies(how, path):
    """Dies in its first run, and returns in its second."""
    if not once(path):
        return "survived"
    end(how)


@app.task(name="pool.dies_always")
def dies_always(path):
    with open(path, "a") as file:
        file.write("x")
    end("kill")


@app.task(name="pool.dies_and_fails", reject_on_worker_lost=False)
def dies_and_fails():
    end("kill")


def end(how):
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(7)
    elif how == "zygote":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    elif how == "rubbish":
        for number in range(200, 260):
            try:
                os.write(number, b"\xff\xff\xff\xff\xff\xff\xff\xff")
            except OSError:
                pass
        time.sleep(60)


@app.task(name="pool.kills_another")
def kills_another():
    """Kills another process that runs tasks."""
    zygote = os.getppid()
    with open(f"/proc/{zygote}/task/{zygote}/children") as children:
        others = [int(pid) for pid in children.read().split() if int(pid) != os.getpid()]
    for pid in random.sample(others, min(1, len(others))):
        os.kill(pid, signal.SIGKILL)


@app.task(name="pool.exits")
def exits():
    raise SystemExit(3)


@app.task(name="pool.softly", soft_time_limit=0.5)
def softly():
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        return "tidied up"


@app.task(name="pool.too_long", time_limit=0.7)
def too_long():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    time.sleep(600)


@app.task(name="pool.sleeps")
def sleeps(path, until=None):
    note("sleeps", os.getpid())
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    if until:
        wait_for(until)
    else:
        time.sleep(600)
    return "slept"


@app.task(name="pool.quiet", ignore_result=True)
def quiet():
    return "nobody hears this"


@app.task(name="shop.both")
def both():
    return "python"


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
