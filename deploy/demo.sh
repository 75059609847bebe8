#!/bin/sh
# The demo, from a clean clone: installs Redis where there is none, builds, and runs `rhubarb demo`
# with the arguments given here (try --help). Leaves nothing outside target/ but the installed
# package.
set -eu

# rustup chooses the pinned toolchain by the directory that it is called in.
cd "$(dirname "$0")/.."
. deploy/install.sh

need_redis
need_cargo
cargo build --workspace
# Instead of this shell, so that Ctrl-C and SIGTERM go to the demo, which stops what it started.
exec "${CARGO_TARGET_DIR:-target}/debug/rhubarb" demo "$@"
