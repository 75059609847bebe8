#!/bin/sh
# The benchmarks, in one command: `sh tests/bench/run.sh [quick|full]`; README.md beside it says
# what each part is.
#
#   quick | full [--only PART,...] [--write-docs]
#                              side by side with the peers; tables to target/bench/
#   pure                       what is computed without Redis, by Criterion
#   get-latency | schedules | flat-memory [TASKS]
#                              one worker or beat of ours, figures only
#   monitor [KEYS]             `rhubarb monitor` on a Redis with many keys, figures only
#   web [SECONDS]              the dashboard beside 2,000 tasks a second, figures only
#   python [TASKS]             Python tasks under Celery's prefork worker and ours, figures only
#   scrape                     2,000 pages beside Scrapy, httpx and aiohttp; 1,000 boards
#   check                      the suite's own tests; measures nothing
#
# Installs what it needs: Redis and packages of the system by its package manager, the peers in a
# cache folder outside the tree. What cannot be had is left out, and the run says so loudly.
set -eu

cd "$(dirname "$0")/../.."
. deploy/install.sh

what=${1:-quick}
[ $# = 0 ] || shift
cache="${XDG_CACHE_HOME:-$HOME/.cache}/rhubarb-bench"
target=${CARGO_TARGET_DIR:-$PWD/target}
export PYTHONDONTWRITEBYTECODE=1

left_out() {
    printf '\n  LEFT OUT: %s\n\n' "$*" >&2
}

# Whether a peer was looked for within a day; peers are compared as they are published.
is_fresh() {
    [ -n "$(find "$1" -mtime -1 2>/dev/null)" ]
}

# The newest Celery, whose Python also runs the suite. Sets $python.
need_celery() {
    need_python
    python=$cache/venv/bin/python
    is_fresh "$cache/venv/complete" && return
    [ -x "$python" ] || python3 -m venv "$cache/venv"
    if "$python" -m pip install --quiet --disable-pip-version-check --upgrade 'celery[redis]'; then
        : >"$cache/venv/complete"
    elif [ -f "$cache/venv/complete" ]; then
        echo "no newer Celery could be asked for" >&2
    else
        give_up "Celery could not be installed: the suite runs on its Python"
    fi
}

need_bullmq() {
    if ! command -v npm >/dev/null 2>&1; then
        (install_packages 'nodejs npm' 'nodejs npm' 'nodejs npm' node) || return
    fi
    is_fresh "$cache/npm/complete" && return
    mkdir -p "$cache/npm"
    if (cd "$cache/npm" &&
        npm install --no-audit --no-fund --loglevel error bullmq@latest ioredis@latest >&2); then
        : >"$cache/npm/complete"
    fi
    [ -f "$cache/npm/complete" ]
}

need_sidekiq() {
    command -v sidekiq >/dev/null 2>&1 && return
    command -v apt-get >/dev/null 2>&1 || return
    (install_packages ruby-sidekiq '' '' '')
}

need_apalis() {
    manifest=tests/bench/peers/apalis/Cargo.toml
    CARGO_TARGET_DIR=$cache/apalis \
        cargo build --quiet --release --locked --manifest-path "$manifest"
}

# Peers of scraping, from PyPI.
need_scrapers() {
    scrapers=$cache/scrapers/bin/python
    is_fresh "$cache/scrapers/complete" && return
    [ -x "$scrapers" ] || python3 -m venv "$cache/scrapers"
    "$scrapers" -m pip install --quiet --disable-pip-version-check --upgrade \
        scrapy httpx aiohttp selectolax && : >"$cache/scrapers/complete"
}

# Not of the package with the binaries: Cargo builds all of them for its benchmarks.
pure() {
    cargo bench --workspace --bench messages --bench crontab --bench pickle --bench off "$@"
}

# A private Redis, ended with the run.
only_redis() {
    dir=$(mktemp -d)
    trap stop EXIT
    port=$((20000 + $$ % 20000))
    redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" \
        >"$dir/redis.log" 2>&1 &
    redis=$!
    REDIS=redis://127.0.0.1:$port
    export REDIS
}

# Each is one of ours against a private Redis; the worker only where it is asked for.
alone() {
    # Always the whole workspace: another selection is another set of features, and builds anew.
    cargo build --quiet --profile dist --workspace --bin worker --bin beat --bin e2e-own-worker
    only_redis
    RHUBARB_CONFIG=/dev/null REDIS_URL=$REDIS "$target/dist/e2e-own-worker" -l warn \
        >"$dir/worker.log" 2>&1 &
    worker=$!
}

stop() {
    for pid in ${worker:-} ${redis:-}; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}

side_by_side() {
    command -v redis-benchmark >/dev/null 2>&1 || command -v valkey-benchmark >/dev/null 2>&1 ||
        install_packages redis-tools '' '' ''
    need_bullmq || left_out "BullMQ: it could not be installed (Node with npm is needed)"
    need_sidekiq || left_out "Sidekiq: it could not be installed (Debian's ruby-sidekiq)"
    need_apalis || left_out "apalis-redis: its worker could not be built"
    cargo build --quiet --profile dist --workspace \
        --bin worker --bin e2e-own-worker --bin e2e-bench-client
    [ "$what" = quick ] || pure --quiet --no-run
    BENCH_BINARIES=$target/dist BENCH_OUT=$target/bench
    BENCH_CELERY=$cache/venv/bin/celery BENCH_NODE=$cache/npm
    BENCH_SIDEKIQ=$(command -v sidekiq || true) BENCH_APALIS=$cache/apalis/release/bench-apalis
    export BENCH_BINARIES BENCH_OUT BENCH_CELERY BENCH_NODE BENCH_SIDEKIQ BENCH_APALIS
    PYTHONPATH=tests/bench exec "$python" -m suite "$what" "$@"
}

need_redis
need_cargo
case $what in
    quick | full)
        need_celery
        side_by_side "$@"
        ;;
    pure) pure ;;
    get-latency)
        need_celery
        alone
        echo "## From a task's end to the return of get()"
        "$python" tests/bench/get_latency.py
        ;;
    schedules)
        need_celery
        alone
        echo "## 10,000 schedules of which none is due"
        "$python" tests/bench/schedules.py "$target/dist/beat"
        ;;
    monitor)
        need_celery
        cargo build --quiet --profile dist --workspace --bin rhubarb
        echo "## rhubarb monitor on ${1:-1000000} keys"
        "$python" tests/bench/monitor.py "$target/dist/rhubarb" "${1:-1000000}"
        ;;
    flat-memory)
        need_celery
        alone
        echo "## Memory over ${1:-1000000} tasks with ignore_result"
        "$python" tests/bench/flat_memory.py "$worker" "${1:-1000000}"
        ;;
    web)
        need_celery
        cargo build --quiet --profile dist --workspace \
            --bin rhubarb --bin e2e-own-worker --bin e2e-bench-client
        echo "## The dashboard beside 2,000 tasks a second"
        "$python" tests/bench/web.py "$target/dist" "${1:-20}"
        ;;
    scrape)
        need_celery
        need_scrapers || give_up "the peers of scraping could not be installed"
        cargo build --quiet --profile dist --workspace --bin worker
        echo "## 2,000 pages"
        "$python" tests/bench/scraping/pages.py "$target/dist/worker" "$scrapers"
        echo "## 1,000 boards, 240,000 postings, 20 keywords"
        "$python" tests/bench/scraping/boards.py "$target/dist/worker"
        ;;
    python)
        need_celery
        cargo build --quiet --profile dist --workspace --bin worker
        only_redis
        echo "## The same Python tasks, ${1:-20000} of them"
        "$python" tests/bench/python_tasks.py "$target/dist/worker" "${1:-20000}"
        ;;
    check)
        need_celery
        cd tests/bench
        exec "$python" -m unittest discover --top-level-directory .
        ;;
    *)
        modes='quick|full|pure|get-latency|schedules|monitor|flat-memory|web|python|scrape|check'
        give_up "usage: sh tests/bench/run.sh [$modes]"
        ;;
esac
