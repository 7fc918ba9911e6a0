#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Runs tests side by side: check.sh JOBS FILE...
#
# A test waits at most half a minute for most things, and a machine that other
# work keeps busy can take longer.  So up to three files that fail beside others
# are run once more, alone.  They must pass then, and the last line names them,
# so that nobody takes such a test for a sound one.
set -u
jobs=$1
shift
state=$(mktemp) && first=$(mktemp) || exit 1
trap 'rm -f "$state" "$first"' EXIT

rm "$state"
prove --statefile="$state" --state=save -j"$jobs" --timer -r -It/lib "$@" && exit
[ -s "$state" ] || exit 1
prove --statefile="$state" --state=failed --dry >"$first"
[ "$(wc -l <"$first")" -le 3 ] || exit 1
echo "These failed beside others and are run alone:" $(cat "$first")
prove --statefile="$state" --state=failed --timer -It/lib || exit 1
echo "UNSTABLE: these passed only alone:" $(cat "$first")
