#!/usr/bin/env bash
# The binary interface of the C API (libzoo_c).
#
#   scripts/c_abi.sh write    writes its record again, csrc/c/abi, after an addition
#   scripts/c_abi.sh check    compares zoo.h with the record: abidiff lists every difference
#
# Needs abidw and abidiff (Debian, Ubuntu: apt-get install abigail-tools) and the package
# (scripts/setup.sh test).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

job=${1:?usage: scripts/c_abi.sh write|check}
python=${VENV:-.venv}/bin/python
record=csrc/c/abi/zoo.abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=tests/support

dump() {
  local include=$PWD/csrc/include
  "$python" tests/support/c_abi.py stubs >"$work/zoo.c"
  (cd "$work" && ${CC:-cc} -std=c99 -g -O0 -w -fPIC -shared -I"$include" -Wl,-soname,libzoo_c.so.1 \
    -o libzoo_c.so.1 zoo.c)
  abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file "$1" "$work/libzoo_c.so.1"
}
case $job in
  write)
    dump "$record"
    "$python" tests/support/c_abi.py
    ;;
  check)
    dump "$work/now.abi"
    abidiff "$record" "$work/now.abi"
    ;;
  *) echo "usage: scripts/c_abi.sh write|check" >&2 && exit 2 ;;
esac
