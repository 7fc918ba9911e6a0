# SPDX-License-Identifier: BSD-2-Clause

# A part of each program's preinst.  It refuses programs that cannot read the
# stores of this machine.  dpkg has unpacked nothing by then, so the old
# programs stay and go on.  $reads is the format that the new programs read.

# The stores that nginx and the dispatcher are configured for, too.
stores() {
    echo /var/lib/eventsync
    find -L /etc/nginx -type f -exec sed -n \
        's/^[[:space:]]*eventsync_store[[:space:]]*["'\'']\{0,1\}\([^"'\'';[:space:]]*\).*/\1/p' \
        {} + 2>/dev/null || true
    find -L /etc/systemd/system -path '*/eventsync-dispatcher.service*' \
        -type f -exec sed -n 's/.*--store[= ]\([^[:space:]]*\).*/\1/p' \
        {} + 2>/dev/null || true
}

readable() {
    status=0
    while read -r store; do
        format=$(sed -n '1s/^eventsync-store \([0-9]*\)$/\1/p' \
            "$store/format" 2>/dev/null || true)
        [ "${format:-$reads}" -ne "$reads" ] || continue
        status=1
        cat >&2 <<EOF
$DPKG_MAINTSCRIPT_PACKAGE: "$store" is a store of format $format.
The new programs read format $reads, so they are not installed. Nothing has
changed, and the old programs go on. First copy the events to a new store, as
"A new store format" in docs/operations.md of eventsync-doc says.
EOF
    done
    return $status
}

case $1 in
install|upgrade) stores | sort -u | readable ;;
esac
