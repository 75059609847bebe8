# Installs what the two first-contact scripts need and a fresh machine lacks. Sourced by
# deploy/demo.sh and tests/run.sh, never run by itself; POSIX sh. Each `need_*` does nothing where
# the thing is already there.

# Says why we stop, and stops.
give_up() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Runs a command as root: as we are, or through sudo, which may ask for a password on a terminal.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null 2>&1; then
        give_up "not root and no sudo: please install it yourself: $*"
    elif [ -t 2 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Runs a package manager as root; what it says is shown only when it fails.
quietly() {
    said=$(as_root "$@" </dev/null 2>&1) || give_up "$said
failed: $*"
}

apt_get() {
    quietly env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"
}

# install_packages APT DNF APK BREW: installs by the package manager that is there. Each argument is
# that manager's list of packages; words are meant to split. shellcheck disable=SC2086
install_packages() {
    if command -v apt-get >/dev/null 2>&1; then
        # A fresh image has no package lists, an old one has stale ones; once is enough.
        [ -n "${apt_updated:-}" ] || apt_get update
        apt_updated=1
        apt_get install -y --no-install-recommends $1
    elif command -v dnf >/dev/null 2>&1; then
        quietly dnf -y install $2
    elif command -v apk >/dev/null 2>&1; then
        quietly apk add $3
    elif command -v brew >/dev/null 2>&1; then
        # Homebrew refuses to run as root.
        said=$(HOMEBREW_NO_AUTO_UPDATE=1 brew install $4 </dev/null 2>&1) || give_up "$said
failed: brew install $4"
    else
        give_up "found none of apt-get, dnf, apk, brew: please install $1 yourself"
    fi
}

# Debian and its kin start a service when its package is installed. We start private servers only,
# so the one that we caused is stopped again.
stop_packaged_redis() {
    for unit in redis-server redis valkey; do
        if [ -d /run/systemd/system ]; then
            as_root systemctl disable --quiet --now "$unit" >/dev/null 2>&1 || true
        elif [ -x "/etc/init.d/$unit" ]; then
            as_root "/etc/init.d/$unit" stop >/dev/null 2>&1 || true
        fi
    done
}

have_redis() {
    command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1
}

# Redis 6.2 or later, or Valkey.
need_redis() {
    have_redis && return
    echo "installing a Redis server" >&2
    if command -v dnf >/dev/null 2>&1 && ! dnf -q info redis >/dev/null 2>&1; then
        # Fedora 41 and later, RHEL 10: Valkey has taken Redis's place.
        install_packages '' valkey '' ''
    else
        install_packages redis-server redis redis redis
    fi
    stop_packaged_redis
    have_redis || give_up "the package was installed, but there is no redis-server on PATH"
}

# Python 3 that can make virtual environments; the tests' Celery and Django live in one.
need_python() {
    # `import ensurepip` and not `import venv`: Debian splits off the part that matters.
    python3 -c 'import ensurepip' >/dev/null 2>&1 && return
    echo "installing Python 3" >&2
    install_packages 'python3 python3-venv' python3 'python3 py3-pip' python3
    python3 -c 'import ensurepip' >/dev/null 2>&1 ||
        give_up "python3 is there but cannot make virtual environments"
}

# The one thing that is not installed from here: which toolchain manager a person uses is theirs to
# say.
need_cargo() {
    command -v cargo >/dev/null 2>&1 ||
        give_up "cargo is not on PATH: a Rust toolchain is needed (https://rustup.rs)"
    # `cc` links; the crates for TLS, zstd and memory hold C, and the last one a makefile.
    command -v cc >/dev/null 2>&1 || install_packages 'gcc libc6-dev' gcc 'gcc musl-dev' gcc
    command -v make >/dev/null 2>&1 || install_packages make make make make
}
