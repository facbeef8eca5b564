#!/bin/sh
# Draw a picture:  ./start.sh "a red apple"
#
#   ./start.sh [--yes] [arguments of nutshell]
#
# The first start prepares a Python environment in .venv beside this file (or, if that folder cannot
# be written, in ~/.local/share/nutshell/venv) and later starts go straight to the program. A start that
# was broken off is begun again. --yes: install a missing Python without asking.
# Packages come from the folder wheels/ beside this file if there is one, without any network.
set -eu

NEED_MB=700 # measured: 420 MB installed; byte code and downloads come on top
MODULES='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'

say() { printf 'nutshell: %s\n' "$*" >&2; }
fail() {
    say "error: $1"
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

# ---- where things lie

self=$(readlink -f -- "$0" 2>/dev/null) || self=$0
here=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P)

can_hold_venv() { # a virtual environment needs symbolic links, which FAT has not
    [ -d "$1" ] && [ -w "$1" ] && ln -s x "$1/.nutshell-link.$$" 2>/dev/null && rm -f "$1/.nutshell-link.$$"
}

elsewhere=${XDG_DATA_HOME:-${HOME:-/tmp}/.local/share}/nutshell/venv

# What was installed, from what, and where: a change of any of these prepares anew.
wanted=$(cat -- "$here/pyproject.toml" "$here/requirements.lock" 2>/dev/null | cksum)" $here"

is_ready() { [ -x "$1/bin/python" ] && [ "$(cat -- "$1/.ready" 2>/dev/null)" = "$wanted" ]; }

# ---- Python

find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        # Run, not only found: it may be too old, a stub of the system, or lack the module venv.
        if "$name" -c "$MODULES" >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

install_command() {
    if command -v apt-get >/dev/null; then
        echo "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3 python3-venv"
    elif command -v dnf >/dev/null; then
        # Older systems' python3 is below 3.10; they have this one beside it.
        if command -v python3 >/dev/null; then echo "dnf install -y python3.11"; else echo "dnf install -y python3"; fi
    elif command -v apk >/dev/null; then
        echo "apk add python3"
    elif command -v pacman >/dev/null; then
        echo "pacman -S --noconfirm --needed python"
    elif command -v zypper >/dev/null; then
        echo "zypper --non-interactive install python311"
    fi
}

install_python() {
    get=$(install_command)
    needed="Python 3.10 or newer with its module venv is needed, and was not found"
    [ -n "$get" ] || fail "$needed" "install it from https://www.python.org/downloads/"
    [ "$(id -u)" = 0 ] || fail "$needed" "run:  sudo sh -c '$get'"
    if [ "$yes" = no ]; then
        [ -t 0 ] || fail "$needed" "run:  $get   (or start again with --yes)"
        printf 'nutshell: %s.\nInstall it now?  %s\n[Y/n] ' "$needed" "$get" >&2
        read -r answer || answer=n
        case $answer in [nN]*) fail "nothing was installed" "run:  $get" ;; esac
    fi
    sh -c "$get" >&2 || fail "Python could not be installed" "run this and see what it says:  $get"
}

# ---- the environment

prepare() { # $1: where
    python=$(find_python) || { install_python && python=$(find_python); } ||
        fail "the Python of this system is older than 3.10" "install a newer one from https://www.python.org/downloads/"
    mkdir -p -- "$(dirname -- "$1")" || fail "cannot make a folder for $1"
    free=$(df -Pk -- "$(dirname -- "$1")" | awk 'NR == 2 { print int($4 / 1024) }')
    [ "${free:-$NEED_MB}" -ge "$NEED_MB" ] ||
        fail "the disk has $free MB free, and preparing needs $NEED_MB MB" "free some space, or move this folder to another disk"

    rm -rf -- "$1" # a broken attempt
    log=$1/prepare.log
    [ ! -t 2 ] || say "preparing, once; this takes some minutes"
    "$python" -m venv "$1" || fail "$python could not make an environment in $1"
    set -- "$1" install --quiet --no-input --no-compile --disable-pip-version-check
    if [ -d "$here/wheels" ]; then
        set -- "$@" --no-index --find-links "$here/wheels"
    fi
    step "$@" --require-hashes -r "$here/requirements.lock"
    if ls "$here"/wheels/nutshell-*.whl >/dev/null 2>&1; then
        step "$@" --no-deps nutshell
    elif [ -e "$here/.git" ]; then
        step "$@" --no-deps --editable "$here" # edits count at once
    else
        step "$@" --no-deps "$here"
    fi
    printf '%s\n' "$wanted" >"$1/.ready"
}

step() { # $1: the environment; the rest: for pip
    venv=$1
    shift
    "$venv/bin/python" -m pip "$@" >>"$log" 2>&1 && return
    tail -n 5 -- "$log" >&2
    if grep -qi 'no space left' "$log"; then
        hint="free some space"
    elif grep -qiE 'connection|timed out|name resolution|max retries' "$log"; then
        hint="the first start needs a network, or the packages in $here/wheels"
    elif grep -qiE 'no matching distribution' "$log"; then
        hint="there may be no package for this system ($(uname -sm)), or for its Python"
    else
        hint="all of it: $log"
    fi
    fail "the packages could not be installed" "$hint; then start again"
}

lock_and_prepare() { # two starts at once: the second waits for the first
    lock=$1.lock
    mkdir -p -- "$(dirname -- "$1")" 2>/dev/null || fail "cannot write in $(dirname -- "$1")" "start from a folder of yours"
    until mkdir -- "$lock" 2>/dev/null; do
        owner=$(cat -- "$lock/pid" 2>/dev/null || { sleep 1 && cat -- "$lock/pid" 2>/dev/null; } || echo none)
        if [ "$owner" = none ] || ! kill -0 "$owner" 2>/dev/null; then rm -rf -- "$lock"; else sleep 1; fi
    done
    echo $$ >"$lock/pid"
    trap 'rm -rf -- "$lock"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    is_ready "$1" || prepare "$1"
    rm -rf -- "$lock"
    trap - EXIT INT TERM HUP
}

yes=no
if [ "${1:-}" = --yes ]; then
    yes=yes
    shift
fi

for place in "$here/.venv" "$elsewhere"; do
    if is_ready "$place"; then
        exec "$place/bin/nutshell" "$@"
    fi
done
place=$elsewhere
if can_hold_venv "$here"; then place=$here/.venv; fi
lock_and_prepare "$place"
exec "$place/bin/nutshell" "$@"
