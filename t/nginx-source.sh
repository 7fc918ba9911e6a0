#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Puts the plain upstream sources of the installed nginx, from Debian's
# archive, into a directory: nginx-source.sh DIR.  Uses lists of its own, so
# that the machine's apt stays as it is.  Does nothing if they are there.

set -eu

dir=$1
[ ! -f "$dir/src/core/nginx.c" ] || exit 0

version=$(dpkg-query -W -f '${source:Version}' nginx)
release=$(. /etc/os-release; echo "$VERSION_CODENAME")
apt=$dir.apt

rm -rf "$dir" "$apt"
mkdir -p "$dir" "$apt/lists/partial"
sh "$(dirname "$0")/apt-sources.sh" deb-src "$release" > "$apt/sources.list"

if [ ! -s "$apt/sources.list" ]; then
    echo "$0: apt has no source of Debian $release that can be read" >&2
    exit 1
fi

cd "$apt"
set -- -q -o "Dir::Etc::SourceList=$apt/sources.list" \
    -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists" \
    -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache=
apt-get "$@" update
apt-get "$@" source --download-only --tar-only "nginx=$version"
tar -x --strip-components=1 -C "$dir" -f nginx_*.orig.tar.*z
rm -rf "$apt"
