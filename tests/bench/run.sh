#!/bin/sh
# The benchmarks, in one command. They are no tests: they print figures and judge nothing.
# Needs what tests/run.sh installs; RHUBARB_TEST_PYTHON is a Python with tests/interop/requirements.txt.
set -eu

cd "$(dirname "$0")/../.."
. deploy/install.sh
need_redis
need_cargo
: "${RHUBARB_TEST_PYTHON:?is not set: a Python that has the packages of tests/interop/requirements.txt}"

cargo build --quiet --release --workspace
dir=$(mktemp -d)
stop() {
    for pid in ${worker:-} ${redis:-}; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap stop EXIT

port=$((20000 + $$ % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" >"$dir/redis.log" 2>&1 &
redis=$!
REDIS=redis://127.0.0.1:$port
export REDIS
RHUBARB_CONFIG=/dev/null REDIS_URL=$REDIS "${CARGO_TARGET_DIR:-target}/release/e2e-own-worker" -l warn >"$dir/worker.log" 2>&1 &
worker=$!

echo "## From a task's end to the return of get()"
PYTHONDONTWRITEBYTECODE=1 "$RHUBARB_TEST_PYTHON" tests/bench/get_latency.py

echo "## 10,000 schedules of which none is due"
PYTHONDONTWRITEBYTECODE=1 "$RHUBARB_TEST_PYTHON" tests/bench/schedules.py "${CARGO_TARGET_DIR:-target}/release/beat"

echo "## rhubarb monitor on ${RHUBARB_BENCH_KEYS:-1000000} keys"
PYTHONDONTWRITEBYTECODE=1 "$RHUBARB_TEST_PYTHON" tests/bench/monitor.py "${CARGO_TARGET_DIR:-target}/release/rhubarb" "${RHUBARB_BENCH_KEYS:-1000000}"

echo "## Memory over ${RHUBARB_BENCH_TASKS:-1000000} tasks with ignore_result"
PYTHONDONTWRITEBYTECODE=1 "$RHUBARB_TEST_PYTHON" tests/bench/flat_memory.py $worker "${RHUBARB_BENCH_TASKS:-1000000}"
