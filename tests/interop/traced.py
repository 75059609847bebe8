"""An application with opentelemetry-instrumentation-celery: `celery -A traced worker`, and as a
program a producer of what its first argument names.

It prints the trace's id and the ids of what can be waited for.
"""

import json
import os
import sys

from celery import Celery, chain, chord
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

REDIS = os.environ["REDIS"]

app = Celery("traced", broker=f"{REDIS}/0", backend=f"{REDIS}/0")
app.conf.task_routes = {"python.*": {"queue": "python"}}

service = "producer" if __name__ == "__main__" else "python-worker"
provider = TracerProvider(resource=Resource.create({"service.name": service}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
CeleryInstrumentor().instrument()


@app.task(name="python.add")
def add(x, y):
    return x + y


@app.task(name="python.double")
def double(x):
    return x * 2


def of_the_others(name):
    """The instrumentation ends the spans only of tasks that the producer knows."""

    @app.task(name=name)
    def task(*args, **kwargs):
        raise NotImplementedError

    return task


rust_add = of_the_others("e2e.add")
rust_sum = of_the_others("e2e.sum")
rust_flaky = of_the_others("e2e.flaky")
rust_fail = of_the_others("e2e.fail")

CALLS = {
    # Both kinds of workers in a header, its body on ours, a step of Python's behind it.
    "chord": lambda: chain(
        chord(
            [rust_add.s(x=1, y=2), add.s(3, 4), rust_add.s(x=5, y=6), add.s(7, 8)],
            rust_sum.s(),
        ),
        # Whoever publishes it knows no routes of ours.
        double.s().set(queue="python"),
        rust_add.s(y=100),
    ).apply_async(),
    "retried": lambda: rust_flaky.apply_async(args=(2,), countdown=1),
    "failed": lambda: rust_fail.apply_async(args=("on purpose",)),
}

if __name__ == "__main__":
    tracer = trace.get_tracer("producer")
    with tracer.start_as_current_span("request") as span:
        result = CALLS[sys.argv[1]]()
        trace_id = format(span.get_span_context().trace_id, "032x")
    provider.shutdown()
    print(json.dumps({"trace": trace_id, "id": result.id}))
