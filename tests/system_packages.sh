#!/bin/sh
# Debian's packages for `make test` beside those of the build: ITK (scans in other formats than
# MetaImage), a browser, a checker of DICOM, npm. Tests skip what needs an absent one. Nobody wants
# tests to change a machine, so they are installed by root on a CI machine (CI is set) and named
# elsewhere.
set -eu

missing=
need() { # COMMAND-or-file PACKAGE...
  command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || { shift; missing="$missing $*"; }
}
need /usr/include/ITK-5.2 libinsighttoolkit5-dev libgdcm-dev
need /usr/include/zip.h libzip-dev
need chromium chromium
need dciodvfy dicom3tools
need npm npm

[ -n "$missing" ] || exit 0
if [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get -qq update
  # shellcheck disable=SC2086 # several words
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
  echo "tests that need them are skipped: apt-get install$missing" >&2
fi
