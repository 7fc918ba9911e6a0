#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Converts the OpenAPI document to C: openapi.sh DOCUMENT OUTPUT writes its
# bytes as the elements of an array.  It uses POSIX tools only, because `config`
# runs it wherever nginx is configured.  It does not write an unchanged output,
# so that make has nothing to do.

set -e

od -An -v -tu1 "$1" | awk '{
    for (i = 1; i <= NF; i++) {
        printf "%s,", $i
    }

    print ""
}' > "$2.new"

if cmp -s "$2.new" "$2"; then
    rm -f "$2.new"
else
    mv "$2.new" "$2"
fi
