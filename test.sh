#!/bin/sh
# Run the tests:  ./test.sh [arguments of pytest]
#
# The first run prepares .venv-test beside this file, with PyTorch and diffusers to compare with. The files of tests are
# spread over the processor's cores; -n 0 runs one after another, in this process.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
venv=$here/.venv-test
cd -- "$here"

# This file too: it says how the environment is made.
wanted=$(cat -- test.sh pyproject.toml requirements.lock requirements/*.txt | cksum)" $here"

prepare() {
    for name in "${TEST_PYTHON:-python3}" python3.11 python3.12 python3.13 python3.10; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            break
        fi
        name=
    done
    [ -n "$name" ] || {
        echo "test.sh: Python 3.10 or newer with its module venv is needed" >&2
        exit 1
    }
    echo "test.sh: preparing $venv" >&2
    rm -rf -- "$venv"
    "$name" -m venv "$venv"
    set -- "$venv/bin/python" -m pip install --quiet --disable-pip-version-check
    # PyTorch first and alone, then held: other packages would replace it by a build with gigabytes of CUDA.
    "$@" -r requirements/torch.txt
    "$@" --require-hashes -r requirements.lock
    "$@" -c requirements/torch.txt -r requirements/test.txt -r requirements/lint.txt --editable .
    printf '%s\n' "$wanted" >"$venv/.ready"
}

if [ ! -x "$venv/bin/python" ] || [ "$(cat -- "$venv/.ready" 2>/dev/null)" != "$wanted" ]; then prepare; fi

cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
workers=$cores
[ "$workers" -le 4 ] || workers=4 # the largest tests take some gigabytes
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((cores / workers))}"
# Seconds that the service is put under load, 0 for a short look.
export NUTSHELL_SOAK="${NUTSHELL_SOAK:-60}"
exec "$venv/bin/python" -m pytest -n "$workers" --dist loadfile "$@"
