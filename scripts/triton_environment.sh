#!/usr/bin/env bash
# Makes an environment with NVIDIA's Triton Inference Server, for models in Python on CPUs:
#
#   scripts/triton_environment.sh FOLDER
#   FOLDER/bin/tritonserver --model-repository=REPO
#
# The server is that of the wheel nvidia-pytriton. Its models run in the Python of FOLDER, where the
# package of this repository is still to be installed. PYTHON chooses the interpreter. Exits with 3 if
# packages cannot be installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
[ ! -e "$1" ] || { echo "$1 exists already" >&2; exit 2; }

"${PYTHON:-python3}" -m venv "$1"
# Its own requirements are those of a Python library that starts the server.
packages() { "$1/bin/python" -m pip -q install "${@:2}" || { rm -rf "$1"; exit 3; }; }
packages "$1" --no-deps nvidia-pytriton==0.7.0
# Arrays of NumPy 2 come out empty; protobuf and ml-dtypes as tritonclient asks for.
packages "$1" 'numpy<2' 'tritonclient[grpc]==2.73.0' 'protobuf<7' 'ml-dtypes<=0.5.4'

# The server looks for the process that runs models beside its library.
server=$("$1/bin/python" -c 'import importlib.util as u; print(u.find_spec("pytriton").submodule_search_locations[0])')/tritonserver
version=$("$1/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
stub=$server/python_backend_stubs/$version/triton_python_backend_stub
[ -e "$stub" ] || { echo "the wheel has no server for Python $version" >&2; rm -rf "$1"; exit 3; }
cp "$stub" "$server/backends/python/"
chmod +x "$server/bin/tritonserver" "$server/backends/python/triton_python_backend_stub"
install -m 755 "$here/tritonserver.sh" "$1/bin/tritonserver"
