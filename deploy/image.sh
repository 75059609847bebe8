#!/bin/sh
# Lays out the root of a container image: the binaries, the libraries that they load, the
# certificates, and a folder for the configuration. Nothing else is in it: no shell, no package.
#
#   sh deploy/image.sh BINARIES ROOT
#
# BINARIES is the folder that Cargo built them into (target/dist), ROOT the folder to make, which
# must not be there. deploy/Dockerfile calls it; tests/run.sh runs the binaries in such a root.
set -eu

[ $# = 2 ] || { echo "usage: sh deploy/image.sh BINARIES ROOT" >&2; exit 2; }
binaries=$1 root=$2
[ ! -e "$root" ] || { echo "$root is there already: name a folder that is not" >&2; exit 1; }

mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/etc/rhubarb"
for name in worker beat rhubarb rhubarb-all; do
    cp "$binaries/$name" "$root/usr/bin/$name"
    strip "$root/usr/bin/$name"
done

# `ldd` prints `name => path (address)`, and the loader as a path alone.
ldd "$root/usr/bin/worker" "$root/usr/bin/beat" "$root/usr/bin/rhubarb" |
    sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u |
    while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done

# Redis and job boards are reached by TLS; zones are in the binaries.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf 'rhubarb:x:10001:10001::/etc/rhubarb:/nonexistent\n' >"$root/etc/passwd"
printf 'rhubarb:x:10001:\n' >"$root/etc/group"
# glibc asks DNS only where this file says so.
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
