"""Celery's side of the benchmarks: default settings, and `ignore_result` where BENCH_IGNORE_RESULT
is set.
"""

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.task_ignore_result = bool(os.environ.get("BENCH_IGNORE_RESULT"))


@app.task(name="bench.noop")
def noop(text):
    pass


@app.task(name="bench.mark", bind=True)
def mark(self, milliseconds, text):
    begun = time.time_ns()
    if milliseconds:
        time.sleep(milliseconds / 1000)
    with open(os.environ["BENCH_LOG"], "ab", buffering=0) as log:
        log.write(f"{self.request.id} {begun}\n".encode())
