#!/usr/bin/env bash
# Makes the virtual environment and installs into it what one job needs.
#
#   scripts/setup.sh sample|test|bench|gpu|lint|build
#
# sample  the package with both CPU backends (no PyTorch)
# test    the same with all that training, export and the tests need
# bench   the same as test, and what the benchmarks need
# gpu     the same as bench, and, on a machine with an NVIDIA driver, what else runs on its GPU
# lint    the linters only
# build   what compiles the package, and its core dependencies
#
# Nothing outside the virtual environment is touched. What is installed already
# is remembered by a hash of what it was made from, so a second call costs
# little more than the hashing. PYTHON and VENV choose the interpreter
# (python3) and the folder (.venv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

job=${1:?usage: scripts/setup.sh sample|test|bench|gpu|lint|build}
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
      "One that is somewhere else: CXX=/path/to/c++ make …"
  echo 'int main() { if constexpr (true) return __cplusplus < 201703L; }' |
    "$compiler" -std=c++17 -x c++ -fsyntax-only - 2>/dev/null ||
    die "$compiler does not compile C++17." "g++ 10 or newer is needed (Debian, Ubuntu: apt-get install g++)."
  if [ "$(echo __clang__ | "$compiler" -E -P -x c++ -)" = __clang__ ] &&
    [ "$("$compiler" -dumpversion | cut -d. -f1)" -lt 10 ]; then
    die "$compiler is $("$compiler" -dumpversion); g++ 10 or newer is needed." \
      "One that is somewhere else: CXX=/path/to/g++ make …"
  fi
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -r "$header" ] ||
    die "the C headers of Python are missing ($header)." "Debian, Ubuntu: apt-get install python3-dev"
}

# True where the program on the PATH is at least version $2.
has_tool() {
  local found
  found=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1) || return 1
  [ "$(printf '%s\n%s\n' "$2" "$found" | sort -V | head -n 1)" = "$2" ]
}

pip_install() {
  "$venv/bin/python" -m pip --disable-pip-version-check install --constraint constraints.txt "$@" \
    >>"$log" 2>&1 && return
  tail -n 25 "$log" >&2
  # Without a network pip may blame the versions: it found none to choose from.
  if grep -qE 'ConnectionError|NameResolutionError|name resolution|Network is unreachable|Timeout|Max retries' "$log" ||
    ! grep -qE '^ *(Downloading|Using cached|Processing|Requirement already)' "$log"; then
    die "a package could not be downloaded: no network, or a proxy that pip does not know of." \
      "A package index of your own: pip config set global.index-url URL (then run make again)." \
      "The whole log: $log"
  fi
  die "pip failed; the whole log is in $log."
}

hash_of() {
  # Paths and contents, in a fixed order.
  find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32
}

is_done() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }
mark() { printf '%s\n' "$2" >"$stamps/$1"; }

# On a GPU: ONNX Runtime's build for it, which takes the other one's place, TensorRT, and packages
# whose arrays the tests share. A package that cannot be installed is not needed.
if [ "$job" = gpu ]; then
  "$0" bench
  if ! command -v nvidia-smi >/dev/null; then
    echo "There is no NVIDIA driver here (nvidia-smi): nothing more is installed"
    exit
  fi
  wanted=$(hash_of constraints.txt scripts/setup.sh)
  for package in 'onnxruntime-gpu[cuda,cudnn]' tensorrt cupy-cuda13x numba-cuda pycuda; do
    is_done "gpu-$package" "$wanted" && continue
    echo "Installing $package"
    if "$venv/bin/python" -m pip --disable-pip-version-check install --constraint constraints.txt \
      "$package" >>"$log" 2>&1; then
      mark "gpu-$package" "$wanted"
    else
      echo "  $package cannot be installed ($log): what needs it is left out"
    fi
  done
  exit
fi

case $job in
  sample) extras=openvino covered_by="test bench" ;;
  test) extras=openvino,train,export,apps,faces,evaluate,tensorrt-rtx,test,docs covered_by=bench ;;
  bench) extras=openvino,train,export,apps,faces,evaluate,tensorrt-rtx,test,docs,bench covered_by= ;;
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
  # Two calls at a time would install over each other.
  exec 9>"$stamps/lock"
  flock 9
fi
: >"$log"
bin=$(cd "$venv/bin" && pwd)
export PATH=$bin:$PATH

# An editable install holds the path of the clone.
wanted=$PWD:$(hash_of constraints.txt pyproject.toml scripts/setup.sh)

if [ "$job" = lint ]; then
  if ! is_done lint "$wanted"; then
    echo "Installing the linters"
    pip_install ruff mypy clang-format clang-tidy numpy click Pillow
    mark lint "$wanted"
  fi
  exit
fi

# The build tools stay in the environment (no build isolation), so that their
# paths stay the same and the next build compiles only what changed.
if ! is_done tools "$wanted"; then
  mapfile -t tools < <(sed -n '/^requires = \[/,/^\]/s/^  "\(.*\)",$/\1/p' pyproject.toml)
  has_tool cmake 3.22 || tools+=(cmake)
  has_tool ninja 1.10 || tools+=(ninja)
  echo "Installing the build tools"
  pip_install "${tools[@]}"
  mark tools "$wanted"
fi

# TensorRT's headers, for the plugins that the tests build and call.
case $job in
  test | bench)
    if ! is_done headers "$wanted"; then
      pip_install --no-deps kernel-lens
      mark headers "$wanted"
      rm -f "$stamps/native"
    fi
    ;;
esac

installed=
for other in $job $covered_by; do
  if is_done "$other" "$wanted"; then installed=$other; fi
done
native=$(hash_of pyproject.toml CMakeLists.txt csrc)

if [ -z "$installed" ]; then
  case $job in
    test | bench) echo "Installing the package, PyTorch and the test tools (some minutes the first time)" ;;
    *) echo "Installing the package and building the C++ runtime (a minute or two the first time)" ;;
  esac
  pip_install --no-build-isolation --editable ".${extras:+[$extras]}"
  # What the tests compare with; on the path it would make torchmetrics import torchvision.
  # TensorRT's lean library is not to be found by what looks for TensorRT.
  case $job in
    test | bench)
      pip_install --no-deps --upgrade --target "$venv/oracles" torch-fidelity tensorrt-lean-cu13-libs
      ;;
  esac
  mark "$job" "$wanted"
  mark native "$native"
elif ! is_done native "$native"; then
  echo "Building the C++ runtime"
  pip_install --no-build-isolation --no-deps --editable .
  mark native "$native"
fi
