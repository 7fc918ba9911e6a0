#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Builds the packages for the Debian release of this machine, from the committed
# files, and leaves them in a directory:
#
#   debian/build.sh DIRECTORY [VERSION]
#
# shared/include/eventsync.h has the version.  A package's version also has the
# number of the release, so that an upgrade of Debian brings the packages of the
# new release.  VERSION builds another version, for a test of an upgrade.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$1
header=shared/include/eventsync.h

version_of() {
    sed -n 's/^#define ES_VERSION  *"\(.*\)"/\1/p' "$1"
}

# "12" or "13"; a tree of the testing release has no number yet
release=$(. /etc/os-release; echo "${VERSION_ID:-${VERSION_CODENAME:-}}")
suite=$(. /etc/os-release; echo "$VERSION_CODENAME")
version=${2:-$(version_of "$root/$header")}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

mkdir -p "$out" "$work/eventsync"
out=$(cd "$out" && pwd)
git -C "$root" archive HEAD | tar -xC "$work/eventsync"

cd "$work/eventsync"
sed -i "s/\"$(version_of "$header")\"/\"$version\"/" "$header" docs/openapi.json
sed -i "1s/(.*) [^;]*;/($version+deb$release) $suite;/" debian/changelog
dpkg-buildpackage -us -uc -j"$(nproc)"

cd ..
rm -f "$out"/*eventsync*
mv ./*.changes ./*.buildinfo ./*.deb ./*.dsc ./*.tar.* "$out"
