#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Converts the files of the dashboard to C: dashboard.sh DIRECTORY OUTPUT writes
# an array for each file, and a table of them.  It uses POSIX tools only, because
# `config` runs it wherever nginx is configured.  It does not write an unchanged
# output, so that make has nothing to do.

set -e

dir=$1
out=$2

type_of() {
    case $1 in
    *.html) echo "text/html; charset=utf-8" ;;
    *.css)  echo "text/css; charset=utf-8" ;;
    *.js)   echo "text/javascript; charset=utf-8" ;;
    *.svg)  echo "image/svg+xml" ;;
    *)      echo "$0: error: what type has $1?" >&2; exit 1 ;;
    esac
}

i=0
table=

for file in "$dir"/*.html "$dir"/*.css "$dir"/*.js "$dir"/*.svg; do
    [ -f "$file" ] || continue

    name=${file##*/}
    type=$(type_of "$name")

    echo "static u_char  ngx_http_eventsync_dashboard_$i[] = {"
    od -An -v -tu1 "$file" | awk '{
        for (i = 1; i <= NF; i++) {
            printf "%s,", $i
        }

        print ""
    }'
    echo "};"

    table="$table    { ngx_string(\"$name\"), ngx_string(\"$type\"),
      ngx_http_eventsync_dashboard_$i, sizeof(ngx_http_eventsync_dashboard_$i),
      0 },
"
    i=$((i + 1))
done > "$out.new"

# the loop ran in this shell, so `table` is set

cat >> "$out.new" <<EOF

static ngx_http_eventsync_file_t  ngx_http_eventsync_dashboard_files[] = {
$table};
EOF

if cmp -s "$out.new" "$out"; then
    rm -f "$out.new"
else
    mv "$out.new" "$out"
fi
