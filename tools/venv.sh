#!/bin/sh
# Usage: tools/venv.sh DIR [dev|frameworks|lowest]
# Make the virtual environment DIR if there is none, and install rmt into it, with the development tools if `dev`
# is given, and the frameworks that have initialisers too if `frameworks` is; `lowest` brings what tests need and the
# lowest versions that pyproject.toml allows. A stamp spares the work until pyproject.toml or the interpreter changes.
# PYTHON=... picks an interpreter.
set -eu
cd "$(dirname "$0")/.."
venv=$1
group=${2:-core}
python=$venv/bin/python

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}
recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 ||
            fail "$PYTHON is not there: install it (Debian, Ubuntu: apt install ${PYTHON##*/} ${PYTHON##*/}-venv; others:" \
                "https://www.python.org/downloads/), or name an interpreter: make PYTHON=/path/to/python3.11"
        recent "$PYTHON" || fail "PYTHON=$PYTHON is older than 3.11: name Python 3.11 or newer."
        say "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3.14 python3.15 python3 python; do
        if recent "$candidate"; then
            say "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found: install it (Debian, Ubuntu: apt install python3 python3-venv;" \
        "others: https://www.python.org/downloads/), or name it: make PYTHON=/path/to/python3.11"
}

# An environment that does not start, or is of an old Python, is of no use to anyone.
if [ -e "$venv" ] && ! { recent "$python" && "$python" -m pip --version >/dev/null 2>&1; }; then
    [ -f "$venv/pyvenv.cfg" ] || fail "$venv is there and is no virtual environment: move it away."
    say "$venv does not work with Python 3.11 or newer: making it again"
    rm -rf "$venv"
fi

if [ ! -e "$venv" ]; then
    base=$(find_python)
    version=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$base" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "Python $version is there, but its venv module is not: install it (Debian, Ubuntu: apt install python$version-venv)."
    say "making $venv with Python $version"
    "$base" -m venv "$venv" || fail "$venv could not be made with Python $version (the reason is above)."
fi

# The development tools come on top of the rest, so that their stamp serves both.
state="$("$python" -V) $(cksum <pyproject.toml) $(pwd)"
for stamp in "$venv/.rmt-$group" "$venv/.rmt-dev"; do
    [ "$(cat "$stamp" 2>/dev/null || :)" != "$state" ] || exit 0
done
say "installing rmt and what it needs into $venv"
"$python" -m pip install --quiet --disable-pip-version-check --upgrade pip ||
    fail "pip could not be upgraded (the reason is above): is there a network?"
case $group in
dev) set -- '.[docs]' --group dev ;;
frameworks) set -- '.[jax,keras,reservoirpy]' --group frameworks ;;
lowest)
    "$python" tools/lowest.py dask >"$venv/lowest.txt"
    set -- '.[dask]' --group test --constraint "$venv/lowest.txt"
    ;;
*) set -- . ;;
esac
"$python" -m pip install --disable-pip-version-check --progress-bar off --editable "$@" ||
    fail "the installation failed (the reason is above); the same command tries again."
if [ "$group" = frameworks ] && ! "$python" -c 'import torch' >/dev/null 2>&1; then
    torch=$("$python" tools/cpu_torch.py)
    { [ -n "$torch" ] && "$python" -m pip install --disable-pip-version-check --progress-bar off "$torch"; } ||
        say "PyTorch's tests are skipped, pip offers no build for the CPU here; to run them: $python -m pip install torch"
fi
say "compiling the kernels, once: a minute, or several on a slow machine"
"$python" tools/warm.py || say "that failed, and is no harm: each kernel is then compiled when it is first called"
printf '%s' "$state" >"$venv/.rmt-$group"
