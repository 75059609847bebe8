#!/bin/sh
# Everything that has to hold before a change lands, in one command: format, lints, build, tests,
# doc tests, documentation, dependencies. Needs a Rust toolchain and installs the rest: a Redis
# server, Python 3, and, in a cache folder outside the tree, a virtual environment with the real
# Celery, Django, django-redis and Flower.
#
# Works from any folder, with or without a terminal. Ends at the first stage that fails, with its
# exit code 1.
set -eu

cd "$(dirname "$0")/.."
. deploy/install.sh
. tests/environments.sh
exec </dev/null

# One line for each thing that was not run, said again at the very end.
left_out=''
leave_out() {
    left_out="$left_out
  LEFT OUT: $*"
}

begun=$(date +%s)
summary=''
running=''
stage() {
    running=$1
    shift
    printf '\n=== %s\n' "$running"
    stage_begun=$(date +%s)
    # Not as the condition of an `if`: there `set -e` would not hold inside the stage.
    "$@"
    took="ok, $(($(date +%s) - stage_begun)) s"
    printf '=== %s: %s\n' "$running" "$took"
    summary="$summary
  $running: $took"
    running=''
}

closing_lines() {
    code=$?
    printf '\n=== summary%s%s\n' "$summary" "$left_out"
    if [ "$code" = 0 ]; then
        printf '\n=== tests/run.sh: all passed, %s s\n' "$(($(date +%s) - begun))"
    else
        printf '\n=== tests/run.sh: FAILED in stage: %s\n' "${running:-none}"
        exit 1
    fi
}
trap closing_lines EXIT

# libfaketime turns the clock of one worker, or of one beat.
turn_clocks() {
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib64/faketime/libfaketimeMT.so.1 \
        /usr/lib/faketime/libfaketimeMT.so.1; do
        [ ! -f "$library" ] || return 0
    done
    (install_packages faketime libfaketime libfaketime libfaketime) ||
        leave_out "libfaketime could not be installed: no test turned a worker's or a beat's clock"
}

# A browser for the dashboard's tests.
need_browser() {
    command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
        (install_packages chromium chromium chromium chromium) || true
}

prerequisites() {
    need_cargo
    need_redis
    need_python
    # The test of the architecture asks Cargo, offline, about packages of other platforms too.
    cargo fetch --quiet --locked
    # Makes the certificates of the TLS tests.
    command -v openssl >/dev/null 2>&1 || install_packages openssl openssl openssl openssl
    need_browser
    turn_clocks
    server=$(redis-server --version 2>/dev/null || valkey-server --version)
    echo "$(cargo --version), $server, $(python3 --version)"
}

unit_and_end_to_end() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --profile ci
    else
        cargo test --workspace --no-fail-fast
        # Once more the few that print figures for a person to see; .config/nextest.toml does it
        # above.
        cargo test --workspace --tests recorded -- --nocapture --test-threads 1
        cargo test --workspace --tests conformance_suite -- --nocapture --test-threads 1
    fi
}

# A few tests of each promise on every server that we promise to work with; the whole is `sh
# tests/engines.sh`.
engines() {
    code=0
    table=$(sh tests/engines.sh smoke) || code=$?
    printf '%s\n' "$table"
    while read -r mark line; do
        [ "$mark" != LEFT ] || leave_out "${line#OUT: }"
    done <<LINES
$table
LINES
    return "$code"
}

# What deploy/Dockerfile makes, run without a container engine.
image() {
    code=0
    sh tests/image.sh "${CARGO_TARGET_DIR:-target}/debug" || code=$?
    [ "$code" = 3 ] || return "$code"
    leave_out "the image's root was not run: this kernel gives no namespaces"
}

# The benchmarks measure nothing here; what they conclude from figures is tested.
benchmarks() {
    (cd tests/bench && PYTHONDONTWRITEBYTECODE=1 \
        "$RHUBARB_TEST_PYTHON" -m unittest discover --top-level-directory .)
}

# What `cargo publish` asks of each library, without building it again or asking the registry.
packages() {
    # shellcheck disable=SC2046
    cargo package --quiet --no-verify --exclude-lockfile --offline --allow-dirty \
        $(sed -n 's/^name = "\(rhubarb.*\)"$/--package \1/p' \
            $(grep --files-without-match '^publish' crates/*/Cargo.toml))
}

# Always the whole workspace and never `-p`: another selection is another set of features, and
# builds anew.
stage prerequisites prerequisites
stage python python_environment
stage 'newest django' newest_django
stage browser web_environment
stage format cargo fmt --all --check
stage clippy cargo clippy --workspace --all-targets -- -D warnings
stage build cargo build --workspace
stage tests unit_and_end_to_end
stage engines engines
stage 'image' image
stage 'benchmarks, their own tests' benchmarks
if ! cargo nextest --version >/dev/null 2>&1; then
    leave_out "cargo-nextest is not installed: cargo test ran the same tests," \
        "without their time limits"
    # `cargo test --workspace` has run the doc tests as well.
else
    stage 'doc tests' cargo test --workspace --doc
fi
stage documentation env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
# The exception: what a worker of one's own compiles, without the features that the workspace turns
# on.
stage 'the library alone' cargo check --package rhubarb
stage 'the caches alone' cargo check --package rhubarb-jobs
stage packages packages
if cargo deny --version >/dev/null 2>&1; then
    # Advisories change without the code: they are for a scheduled run, not for a change.
    stage dependencies cargo deny check bans licenses sources
else
    leave_out "cargo-deny is not installed: licences, sources and duplicates of dependencies" \
        "were not checked"
fi
command -v promtool >/dev/null 2>&1 ||
    leave_out "promtool is not installed: the metrics and alert rules were not checked by it"
if [ ! -d ../shared/realdata ]; then
    leave_out "THE RECORDED SUITE: ../shared/realdata is not there;" \
        "the parsers were tested on our own fixtures only"
fi
