#!/bin/sh
# Times libdl beside its peers (make bench). Arguments go to bench.py: run.sh train --only resnet50,vgg16 --rounds 5
# The peers live in benchmarks/.venv, made on the first run, or in the interpreter BENCH_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=$root/build
mkdir -p "$build"

python=${BENCH_PYTHON:-$here/.venv/bin/python}
if [ -z "${BENCH_PYTHON:-}" ] && ! [ -e "$here/.venv/complete" ]; then
    echo "making $here/.venv with the peers from PyPI (some GB)"
    [ -x "$python" ] || python3 -m venv "$here/.venv"
    # PyTorch's own index has a build without CUDA, a tenth of the size; PyPI has the other.
    "$python" -m pip install --quiet torch --index-url https://download.pytorch.org/whl/cpu 2>/dev/null || true
    # A line at a time: one peer that cannot be had should not keep back the others.
    grep -v '^ *\(#.*\)*$' "$here/requirements.txt" | while read -r package; do
        "$python" -m pip install --quiet "$package" || echo "cannot install $package; its rows are left out"
    done
    touch "$here/.venv/complete"
fi

dlua=$build/bin/dlua
[ -x "$dlua" ] || dlua=$(command -v dlua || true)
[ -n "$dlua" ] || echo "no dlua found (make builds it): the peers run alone"

# compile OUTPUT SOURCE FLAGS...; empty the name where that fails.
cc=${CC:-cc}
library=$build/lib/libdl-1.so
ours_c=$build/benchmark-ours
"$cc" -std=c99 -O2 -Wall -Wextra -I "$root/include" "$here/ours.c" -o "$ours_c" "$library" \
    "-Wl,-rpath,$(dirname "$library")" || { ours_c=; echo "$here/ours.c does not link with $library (make builds it)"; }
peak=$build/benchmark-peak
"$cc" -std=c99 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra "$here/peak.c" -o "$peak" -lpthread || peak=

# dlib is Debian's libdlib-dev with libopenblas0-pthread; its templates take a minute to compile.
dlib=$build/benchmark-dlib
if ! [ -x "$dlib" ] || [ "$here/peer_dlib.cpp" -nt "$dlib" ]; then
    "${CXX:-c++}" -std=c++17 -O3 -march=native -DNDEBUG -DDLIB_NO_GUI_SUPPORT "$here/peer_dlib.cpp" -o "$dlib" -ldlib \
        -l:libblas.so.3 -l:liblapack.so.3 -lpthread 2>"$build/benchmark-dlib.log" || { rm -f "$dlib"; dlib=; }
fi

exec python3 "$here/bench.py" --python "$python" ${dlua:+--dlua "$dlua"} ${ours_c:+--ours-c "$ours_c"} \
    ${peak:+--peak "$peak"} ${dlib:+--dlib "$dlib"} "$@"
