# The Python environments of the tests, made once. Sourced by tests/run.sh and tests/engines.sh,
# which say what `leave_out` does; POSIX sh.

# environment PYTHON REQUIREMENTS: a folder named by what is in it, so that another list of packages
# makes another environment. Marked when it is whole; an unmarked one is the remains of an
# interrupted run. Sets $venv.
environment() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    sum=$(cksum <"$2" | tr ' ' '-')
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/rhubarb-tests/venv-$version-$sum"
    if [ ! -f "$venv/complete" ]; then
        rm -rf "$venv"
        mkdir -p "$venv"
        "$1" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
        : >"$venv/complete"
    fi
}

python_environment() {
    environment python3 tests/interop/requirements.txt
    RHUBARB_TEST_PYTHON=$venv/bin/python
    export RHUBARB_TEST_PYTHON
    "$RHUBARB_TEST_PYTHON" -c 'import celery, django
print("celery", celery.__version__, "django", django.__version__)'
    # The oldest Celery that the conformance suite compares with.
    environment python3 tests/interop/requirements-5.4.txt
    RHUBARB_TEST_PYTHON_OLD=$venv/bin/python
    export RHUBARB_TEST_PYTHON_OLD
    "$RHUBARB_TEST_PYTHON_OLD" -c 'import celery; print("celery", celery.__version__)'
}

# Chromium with Playwright, and schemathesis: what looks at the dashboard.
web_environment() {
    for program in chromium chromium-browser google-chrome; do
        if command -v "$program" >/dev/null 2>&1; then
            environment python3 tests/interop/requirements-web.txt
            RHUBARB_TEST_PYTHON_WEB=$venv/bin/python
            export RHUBARB_TEST_PYTHON_WEB
            "$program" --version 2>/dev/null
            return
        fi
    done
    leave_out "CHROMIUM is not installed: no browser looked at the dashboard," \
        "and schemathesis did not ask its API"
}

# Django 6 needs Python 3.12. One that is there is used, also one of pyenv's that is not on the
# path; none is installed for it.
newest_django() {
    fit='import ensurepip, sys; sys.exit(sys.version_info < (3, 12))'
    for python in python3 python3.14 python3.13 python3.12 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3; do
        if "$python" -c "$fit" >/dev/null 2>&1; then
            environment "$python" tests/interop/requirements-django6.txt
            RHUBARB_TEST_PYTHON_DJANGO6=$venv/bin/python
            export RHUBARB_TEST_PYTHON_DJANGO6
            "$RHUBARB_TEST_PYTHON_DJANGO6" -c 'import django; print("django", django.__version__)'
            return
        fi
    done
    leave_out "DJANGO 6: no Python 3.12 or later is here;" \
        "django.tasks was tested with the backport only"
}
