"""What a running task takes in Redis: its claim."""

import time

from .server import Server
from .workers import Rhubarb

TASKS = 1_000
MILLISECONDS = 4_000


def running_bytes(tools):
    with Server() as server:
        worker = Rhubarb(tools, server, log=f"{server.dir}/done", concurrency=TASKS)
        worker.start()
        try:
            message = worker.stage(TASKS, "mark", MILLISECONDS)["message_bytes"]
            worker.release()
            deadline = time.monotonic() + 15
            while worker.held() < TASKS:
                worker.check()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"only {worker.held()} of {TASKS} run at once")
                time.sleep(0.02)
            keys = server.client.keys("rhubarb:{celery}:*")
            used = sum(server.client.memory_usage(key, samples=0) for key in keys)
            return {"message_bytes": message, "running_bytes": used / TASKS}
        finally:
            worker.processes.kill()
