#!/usr/bin/env bash
# Fuzzes the readers of engine files: scripts/fuzz.sh SECONDS [SEED [FILES]]
#
# Half of the time goes to the fuzzers (csrc/fuzz), which run in parallel with sanitizers, half to whole
# engines in every backend (scripts/fuzz_engines.py). Builds into build/fuzz, which also receives the
# failures; the exit status is then not 0. CXX=clang++ uses libFuzzer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?usage: scripts/fuzz.sh SECONDS [SEED]}
seed=${2:-1}
# Maximum number of whole engines; with a number, a seed gives the same files on every machine.
files=${3:-1000000000}
bin=$PWD/${VENV:-.venv}/bin
build=build/fuzz
corpus=csrc/fuzz/corpus
export PATH=$bin:$PATH
mkdir -p build

cmake -S . -B "$build" -G Ninja -DPython_EXECUTABLE="$bin/python" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DZOO_BUILD_FUZZERS=ON -DZOO_BUILD_PYTHON=OFF -DZOO_BUILD_OPENVINO=OFF -DZOO_BUILD_CUDA=OFF \
  >"$build.log" 2>&1 || { tail -n 20 "$build.log" >&2; exit 1; }
cmake --build "$build" --target zoo_fuzzers >>"$build.log" 2>&1 ||
  { tail -n 20 "$build.log" >&2; exit 1; }

failed=0
running=()
fuzz() {
  local name=$1
  shift
  # libFuzzer writes what it finds into the first folder.
  mkdir -p "$build/found/$name"
  (
    "$build/csrc/fuzz/${name}_fuzz" "-max_total_time=$((seconds / 2))" "-seed=$seed" \
      "-artifact_prefix=$build/$name-" "$build/found/$name" "$@" >"$build/$name.log" 2>&1 ||
      { tail -n 40 "$build/$name.log"; exit 1; }
    echo "$name: $(tail -n 1 "$build/$name.log")"
  ) &
  running+=($!)
}
fuzz engine "$corpus/engines" "$corpus/plans"
fuzz onnx "$corpus/engines"
fuzz plan "$corpus/plans"
fuzz manifest "$corpus/manifests"
for process in "${running[@]}"; do wait "$process" || failed=1; done
"$bin/python" scripts/fuzz_engines.py --seconds "$((seconds / 2))" --seed "$seed" --files "$files" \
  --out "$build/failures" "$corpus/engines" || failed=1
exit "$failed"
