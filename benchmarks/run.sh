#!/bin/sh
# Times libdl beside PyTorch (make bench). Arguments go to bench.py: run.sh train --rounds 5
# PyTorch lives in benchmarks/.venv, made on the first run, or in the interpreter BENCH_PYTHON.
# OURS is the command of our training worker; else dlua, from build/bin or the PATH, runs ours.lua.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")

python=${BENCH_PYTHON:-$here/.venv/bin/python}
if [ -z "${BENCH_PYTHON:-}" ] && ! "$python" -c 'import torch, numpy' 2>/dev/null; then
    echo "making $here/.venv with PyTorch (about 6 GB from PyPI)"
    python3 -m venv "$here/.venv"
    "$here/.venv/bin/pip" install --quiet -r "$here/requirements.txt"
fi

if [ -z "${OURS:-}" ]; then
    dlua=$root/build/bin/dlua
    [ -x "$dlua" ] || dlua=$(command -v dlua || true)
    if [ -n "$dlua" ]; then
        OURS="$dlua $here/ours.lua"
    else
        echo "no dlua found (make builds it): PyTorch trains alone"
    fi
fi

# Single convolutions are called from C, where a call costs least.
library=$root/build/lib/libdl-1.so
convolutions=$root/build/benchmark-convolutions
if ! ${CC:-cc} -std=c99 -O2 -Wall -Wextra -I "$root/include" "$here/convolutions.c" -o "$convolutions" \
    "$library" "-Wl,-rpath,$(dirname "$library")"; then
    convolutions=
    echo "$here/convolutions.c does not link with $library (make builds it): PyTorch convolves alone"
fi

exec python3 "$here/bench.py" --python "$python" ${OURS:+--ours "$OURS"} \
    ${convolutions:+--ours-convolutions "$convolutions"} "$@"
