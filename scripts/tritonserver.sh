#!/bin/sh
# Triton of the environment that this file lies in: see triton_environment.sh.
set -eu
bin=$(cd "$(dirname "$0")" && pwd)
package=$("$bin/python3" -c 'import importlib.util as u; print(u.find_spec("pytriton").submodule_search_locations[0])')
python=$("$bin/python3" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
# The process of a model takes the environment of the first python3, unless PYTHONHOME says another.
unset PYTHONHOME
export PATH="$bin:$PATH"
export LD_LIBRARY_PATH="$python:$package/../nvidia_pytriton.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$package/tritonserver/bin/tritonserver" \
  --backend-directory="$package/tritonserver/backends" "$@"
