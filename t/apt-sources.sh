#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Prints the archives of a Debian release, one line of sources.list each:
#
#   apt-sources.sh deb|deb-src RELEASE
#
# It takes the addresses of this machine's own release from apt's files, in
# either format.  It prints nothing if there are none.
#
# APT_DIR and APT_RELEASE override /etc/apt and the machine's release.

set -eu

type=$1
release=$2
dir=${APT_DIR:-/etc/apt}
own=${APT_RELEASE:-$(. /etc/os-release; echo "${VERSION_CODENAME:-}")}

[ -n "$own" ] || exit 0

for file in "$dir/sources.list" "$dir"/sources.list.d/*.list \
    "$dir"/sources.list.d/*.sources
do
    # an empty line ends the last paragraph of a file
    [ ! -f "$file" ] || { cat "$file"; echo; }
done | awk -v own="$own" -v release="$release" -v type="$type" '

function source(uri, suite, components,    list)
{
    # cloud images name a file that contains the address
    if (sub(/^mirror\+file:(\/\/)?/, "", uri)) {
        list = uri
        if ((getline uri < list) <= 0) {
            return
        }
        close(list)
        sub(/[ \t].*/, "", uri)
    }

    if (uri ~ /\/debian(-security)?\/?$/ &&
        (suite == own || suite == own "-updates" ||
         suite == own "-security") &&
        (" " components " ") ~ / main /)
    {
        sub("^" own, release, suite)
        if (!printed[uri, suite]++) {
            print type, uri, suite, "main"
        }
    }
}

function paragraph(    u, s, i, j)
{
    if (field["enabled"] !~ /^ *(no|false)/ &&
        (field["types"] " ") ~ /(^| )deb /)
    {
        split(field["uris"], u, " ")
        split(field["suites"], s, " ")
        for (i = 1; i in u; i++) {
            for (j = 1; j in s; j++) {
                source(u[i], s[j], field["components"])
            }
        }
    }
    split("", field)
}

/^[ \t]*#/ { next }

/^deb[ \t]/ {
    sub(/\[[^]]*\]/, "")
    uri = $2; suite = $3; $1 = $2 = $3 = ""
    source(uri, suite, $0)
    next
}

/^[A-Za-z-]+:/ {
    name = tolower(substr($0, 1, index($0, ":") - 1))
    field[name] = substr($0, index($0, ":") + 1)
    next
}

/^[ \t]+[^ \t]/ { field[name] = field[name] " " $0; next }

/^[ \t]*$/ { paragraph() }
'
