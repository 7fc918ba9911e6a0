#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Downloads the unpatched upstream sources of the installed nginx from Debian's
# archive into a directory: nginx-source.sh DIR.  It uses its own lists, so that
# it does not change the machine's apt.  It does nothing if DIR has the sources.

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
    echo "$0: apt has no readable source of Debian $release" >&2
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
