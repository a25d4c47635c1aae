#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) on the C++ sources of the package's build, in parallel. Files with
# vector instructions are excluded, because clang-tidy does not know all of their compiler flags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=${VENV:-.venv}/bin
build=$(ls -td build/cp*/build.ninja 2>/dev/null | head -n 1)
if [ -z "$build" ]; then
  echo "error: clang-tidy needs the commands of a build: scripts/setup.sh test" >&2
  exit 1
fi
PATH=$PWD/$bin:$PATH
folder=$(dirname "$build")
mkdir -p build/tidy
ninja -C "$folder" -t compdb >build/tidy/compile_commands.json
sources() {
  grep -oE '"file": "[^"]+csrc/(base|c|format|core|backends|ops|plugins|python)/[^"]+\.cc"' \
    build/tidy/compile_commands.json | sed -E 's/.*(csrc\/[^"]+)"/\1/' | grep -vE 'kernels_(avx|neon)' | sort -u
}
sources | xargs -P "$(nproc)" -n 4 "$bin/clang-tidy" -p build/tidy --quiet 2> >(grep -vE 'warnings? generated|Processing file' >&2)
echo "clang-tidy: $(sources | wc -l) files"
