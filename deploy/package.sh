#!/bin/sh
# Makes what people install: a tarball, and a Debian package where dpkg-deb is there. Both have the
# binaries, the manual pages, the completions, the units of systemd and the configuration's
# template.
#
#   sh deploy/package.sh BINARIES OUT TARGET
#
# BINARIES is the folder that Cargo built them into (target/dist), OUT the folder for the files,
# TARGET the platform in their names (x86_64-unknown-linux-gnu).
set -eu

[ $# = 3 ] || { echo "usage: sh deploy/package.sh BINARIES OUT TARGET" >&2; exit 2; }
binaries=$1 out=$2 target=$3
here=$(dirname "$0")
version=$("$binaries/rhubarb" --version | cut -d' ' -f2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

root=$work/root
mkdir -p "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/share/man/man1" \
    "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
    "$root/usr/share/fish/vendor_completions.d" "$root/usr/share/doc/rhubarb" "$root/etc/rhubarb"
for name in worker beat rhubarb rhubarb-all; do
    install -m 755 "$binaries/$name" "$root/usr/bin/$name"
    # What `cargo auditable` writes about dependencies stands in a section that is kept.
    strip "$root/usr/bin/$name"
done
install -m 644 "$here"/systemd/* "$root/usr/lib/systemd/system"
install -m 644 "$here/rhubarb.toml" "$root/etc/rhubarb/rhubarb.toml"
install -m 644 "$here/../README.md" "$here/../CHANGELOG.md" "$here/../LICENSE-MIT" \
    "$here/../LICENSE-APACHE" "$root/usr/share/doc/rhubarb"
"$binaries/rhubarb" man "$root/usr/share/man/man1"
gzip -9n "$root/usr/share/man/man1"/*
complete() { "$binaries/rhubarb" completions "$1" >"$root/usr/share/$2"; }
complete bash bash-completion/completions/rhubarb
complete zsh zsh/vendor-completions/_rhubarb
complete fish fish/vendor_completions.d/rhubarb.fish

name=rhubarb-$version-$target
cp -R "$root" "$work/$name"
tar --owner=0 --group=0 -C "$work" -czf "$out/$name.tar.gz" "$name"
echo "$out/$name.tar.gz"

if ! command -v dpkg-deb >/dev/null 2>&1; then
    echo "dpkg-deb is not here: no Debian package was made" >&2
    exit 0
fi
case $target in
x86_64-*) architecture=amd64 ;;
aarch64-*) architecture=arm64 ;;
*) echo "no Debian package for $target" >&2; exit 0 ;;
esac
mkdir "$root/DEBIAN"
echo /etc/rhubarb/rhubarb.toml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<CONTROL
Package: rhubarb
Version: $version
Architecture: $architecture
Maintainer: The Rhubarb developers <rhubarb@localhost>
Depends: libc6 (>= 2.35), libgcc-s1, ca-certificates
Suggests: redis-server | valkey-server
Section: net
Priority: optional
Description: distributed task queue for Celery's producers
 A worker and a beat that talk through Redis only, made for scraping job
 listings on a schedule, and for sharing Redis with a Django application
 whose Celery producers and django-redis caches stay unchanged.
CONTROL
dpkg-deb --root-owner-group --build "$root" "$out/rhubarb_${version}_$architecture.deb"
