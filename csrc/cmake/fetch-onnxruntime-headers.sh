#!/bin/sh
# Unpacks the headers of Debian's libonnxruntime-dev into a folder, installing nothing.
#
#   fetch-onnxruntime-headers.sh FOLDER
#
# Works without root: apt runs on a private state, with the mirror that the
# machine's own sources name. Leaves FOLDER/onnxruntime_c_api.h and its
# companions, whole or not at all. On failure: one reason on stderr, status 1.
set -eu

package=libonnxruntime-dev
# A fixed release first: "stable" moves on, and its headers with it.
suites="trixie stable"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
  echo "Debian package $package: $*" >&2
  exit 1
}

[ $# -eq 1 ] || fail "usage: $0 FOLDER"
target=$1

grep -q '^ID=debian' /etc/os-release 2>/dev/null || fail "this is not a Debian system"
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done

# The first archive URI of an enabled binary source that serves the main suites.
mirror() {
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
    /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    case $file in
      *.sources)
        awk '
          function flush(  i, n, uri, suite) {
            if (types ~ /(^| )deb( |$)/ && enabled != "no" && !done) {
              n = split(suites, suite, " "); split(uris, uri, " ")
              for (i = 1; i <= n; i++)
                if (suite[i] !~ /[-\/]/ && comps ~ /(^| )main( |$)/) { print uri[1]; done = 1; break }
            }
            types = uris = suites = comps = enabled = ""
          }
          /^[[:space:]]*$/ { flush(); next }
          /^#/ { next }
          {
            line = $0
            if (match(line, /^[A-Za-z-]+:/)) {
              key = tolower(substr(line, 1, RLENGTH - 1)); line = substr(line, RLENGTH + 1)
            }
            gsub(/[[:space:]]+/, " ", line)
            if (key == "types") types = types line
            else if (key == "uris") uris = uris line
            else if (key == "suites") suites = suites line
            else if (key == "components") comps = comps line
            else if (key == "enabled") enabled = tolower(substr(line, 2))
          }
          END { flush() }' "$file"
        ;;
      *)
        sed -n 's/^[[:space:]]*deb[[:space:]]\{1,\}//p' "$file" |
          sed 's/^\[[^]]*\][[:space:]]*//' |
          awk '$2 !~ /[-\/]/ && / main( |$)/ { print $1 }'
        ;;
    esac
  done
}

# Debian's own archive, not a third party's that also has a suite called stable.
uri=$(mirror | grep -E '^[a-z+]+:.*/debian/?$' | head -n 1)
[ -n "$uri" ] || uri=$(mirror | head -n 1)
[ -n "$uri" ] || fail "no mirror of the main archive in apt's sources"

mkdir -p "$(dirname "$target")"
scratch=$(mktemp -d "$target.XXXXXX.tmp")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/files"
signed=
[ ! -r "$keyring" ] || signed="[signed-by=$keyring] "

# apt started by root fetches as the user _apt, who may not reach this folder.
private_apt() {
  apt-get -qq \
    -o Dir::State::Lists="$scratch/lists" \
    -o Dir::Cache="$scratch/cache" \
    -o Dir::Etc::SourceList="$scratch/sources.list" \
    -o Dir::Etc::SourceParts=/dev/null \
    -o Acquire::Languages=none \
    -o Acquire::Retries=2 \
    -o APT::Sandbox::User="$(id -un)" \
    "$@" >>"$scratch/log" 2>&1
}

for suite in $suites; do
  printf 'deb %s%s %s main\n' "$signed" "$uri" "$suite" >"$scratch/sources.list"
  rm -f "$scratch"/files/*.deb
  if private_apt update && (cd "$scratch/files" && private_apt download "$package"); then
    break
  fi
done
deb=$(find "$scratch/files" -name '*.deb' | head -n 1)
[ -n "$deb" ] ||
  fail "cannot be downloaded: $(sed -n 's/^[EW]: //p' "$scratch/log" | tail -n 1)"

dpkg-deb -x "$deb" "$scratch/files"
headers=$(dirname "$(find "$scratch/files" -name onnxruntime_c_api.h | head -n 1)")
[ -r "$headers/onnxruntime_c_api.h" ] || fail "has no onnxruntime_c_api.h"

# Another build may have been faster: its copy is as good as ours.
if ! mv -T "$headers" "$target" 2>/dev/null; then
  [ -r "$target/onnxruntime_c_api.h" ] || fail "$target cannot be written"
fi
