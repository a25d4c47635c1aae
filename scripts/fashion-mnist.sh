#!/usr/bin/env bash
# Provides Fashion-MNIST for the tests.
#
# Tries, in this order: the folder ZOO_DATA; Debian's dataset-fashion-mnist, which is installed if the
# user is root; otherwise the loader downloads it on first use.
set -euo pipefail

folder=/usr/share/datasets/fashion-mnist
package=dataset-fashion-mnist

if [ -n "${ZOO_DATA:-}" ]; then
  echo "Fashion-MNIST: in ZOO_DATA ($ZOO_DATA)"
  exit
fi
if [ ! -d "$folder" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Fashion-MNIST: installing Debian's $package"
  export DEBIAN_FRONTEND=noninteractive
  if ! (apt-get -qq update && apt-get -qq install -y --no-install-recommends "$package") \
    >/dev/null 2>&1 </dev/null; then
    echo "Fashion-MNIST: apt-get could not install $package" >&2
  fi
fi
if [ -d "$folder" ]; then
  echo "Fashion-MNIST: $folder"
else
  echo "Fashion-MNIST: will be downloaded, with checksum. Without a network: install Debian's"
  echo "  $package, or set ZOO_DATA to a folder that has the four IDX files."
fi
