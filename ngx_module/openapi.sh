#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Makes C of the OpenAPI document: openapi.sh DOCUMENT OUTPUT writes its bytes
# as the list of an array's elements.  POSIX tools only: `config` runs it
# wherever nginx is configured.  What would not change is not written, so that
# make has nothing to do.

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
