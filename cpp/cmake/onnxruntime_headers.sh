#!/bin/sh
# Gets the headers of ONNX Runtime into .cache/onnxruntime-headers (or the folder given), where the
# build looks for them; neither root nor a change of the system is needed. They are Debian's package
# libonnxruntime-dev, which is in trixie and later: apt fetches and verifies it with a state of its
# own, from the mirror that this machine uses. The library itself is opened at run time.
set -eu

SUITE=trixie
PACKAGE=libonnxruntime-dev
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
target=${1:-$(cd "$(dirname "$0")/../.." && pwd)/.cache/onnxruntime-headers}

[ -f "$target/onnxruntime_c_api.h" ] && exit 0

fail() {
  echo "$(basename "$0"): $1" >&2
  echo "without the headers of ONNX Runtime lunart is built without its engine; give the folder" \
    "that holds onnxruntime_c_api.h to CMake as -DLUNART_ONNXRUNTIME_INCLUDE" >&2
  exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "apt-get and dpkg-deb are needed, and this is no Debian"
[ -f "$KEYRING" ] || fail "$KEYRING is absent: apt-get install debian-archive-keyring"

mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/*$') ||
  fail "apt names no mirror of Debian (apt-get indextargets)"

mkdir -p "$(dirname "$target")"
# Beside the target, so that the last step is a rename: there whole, or not at all.
work=$(mktemp -d "$(dirname "$target")/.onnxruntime-headers.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
work=$(cd "$work" && pwd)
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/headers"
echo "deb [signed-by=$KEYRING] $mirror $SUITE main" >"$work/sources.list"

apt() {
  (cd "$work" && apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" \
    -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" -o Dir::State::Status=/dev/null \
    -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o Acquire::Retries=0 \
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o APT::Sandbox::User=root "$@") \
    >"$work/log" 2>&1
}
apt update && apt download "$PACKAGE" ||
  fail "apt cannot get $PACKAGE of $SUITE from $mirror: $(tail -n 1 "$work/log")"
dpkg-deb -x "$work/$PACKAGE"_*.deb "$work/x" || fail "$PACKAGE cannot be unpacked"

found=$(find "$work/x/usr/include" -name onnxruntime_c_api.h | head -n 1)
[ -n "$found" ] || fail "$PACKAGE holds no onnxruntime_c_api.h"
cp "$(dirname "$found")"/*.h "$work/x/usr/share/doc/$PACKAGE/copyright" "$work/headers"
rm -rf "$target"
mv "$work/headers" "$target" || fail "$target cannot be written"
echo "$target: headers of ONNX Runtime, $(cd "$work" && echo "$PACKAGE"_*.deb)"
