#!/bin/sh
# Runs the image's own layout without a container engine: its root, read-only, as the user that the
# Dockerfile names, with a worker that runs a task. Takes the folder of the binaries.
#
# Needs root, or a kernel that gives a user namespaces of its own; else it says so and ends with 3.
set -eu
cd "$(dirname "$0")/.."
binaries=${1:?which binaries?}

if [ -z "${IN_NAMESPACE:-}" ]; then
    map=$([ "$(id -u)" = 0 ] || echo --map-root-user)
    unshare $map --mount true 2>/dev/null ||
        { echo "no namespaces are to be had here" >&2; exit 3; }
    IN_NAMESPACE=1 exec unshare $map --mount sh "$0" "$binaries"
fi

work=$(mktemp -d)
stop() {
    for pid in ${worker:-} ${redis:-}; do kill "$pid" 2>/dev/null || true; wait "$pid" || true; done
    umount "$work/image" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

sh deploy/image.sh "$binaries" "$work/image"
mount --bind "$work/image" "$work/image"
mount -o remount,bind,ro "$work/image"

# A user other than root where there is one to be had: without root's map there is none.
as=$([ "$(id -u 2>/dev/null)" = 0 ] && grep -q ' 4294967295$' /proc/self/uid_map &&
    echo --userspec=10001:10001 || true)
inside() { REDIS_URL=redis://127.0.0.1:$port/0 chroot $as "$work/image" "$@"; }

port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
redis-server --port "$port" --save '' --appendonly no --dir "$work" >"$work/redis.log" &
redis=$!
tries=0
until redis-cli -p "$port" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { cat "$work/redis.log" >&2; exit 1; }
    sleep 0.05
done
(REDIS_URL=redis://127.0.0.1:$port/0 exec chroot $as "$work/image" /usr/bin/worker) \
    >"$work/worker.log" 2>&1 &
worker=$!
task=job_scraper.tasks.get_scraping_status
inside /usr/bin/rhubarb enqueue "$task" --wait 30 >"$work/said" 2>&1 ||
    { cat "$work/said" "$work/worker.log" >&2; exit 1; }
touch "$work/image/x" 2>/dev/null && { echo "the root can be written to" >&2; exit 1; }
kill -TERM "$worker"
wait "$worker" || { cat "$work/worker.log" >&2; exit 1; }
worker=
inside /usr/bin/rhubarb --version
echo "the image's root: $(du -sh "$work/image" | cut -f1), a task was run in it"

# What people install, of the same binaries. Compressing these would take a minute.
DPKG_DEB_COMPRESSOR_TYPE=none sh deploy/package.sh "$binaries" "$work/out" \
    "$(uname -m)-unknown-linux-gnu" >"$work/made"
tar -tzf "$work"/out/*.tar.gz >"$work/listed"
for file in bin/worker bin/beat bin/rhubarb share/man/man1/rhubarb-queues.1.gz \
    share/bash-completion/completions/rhubarb lib/systemd/system/rhubarb-worker@.service; do
    grep -q "/usr/$file\$" "$work/listed" || { echo "the tarball lacks $file" >&2; exit 1; }
done
if command -v dpkg-deb >/dev/null 2>&1; then
    dpkg-deb --field "$work"/out/*.deb Package Version Architecture
fi
