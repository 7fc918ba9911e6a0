#!/usr/bin/env bash
# Debian 12 prometheus 2.42.0+ds-5+deb12u1, 2026-12-01
#
# Prometheus asks for OpenMetrics first, and reads it.  "promtool check metrics"
# of the same package reads the text format 0.0.4 alone, and says so nowhere: it
# takes an exemplar for a timestamp, and of counters, whose family OpenMetrics
# names without "_total", it says that they have no help.  There is no option.
# A check of metrics must ask for text/plain, or read OpenMetrics by another
# parser, such as prometheus_client of Python.
#
# Seen, of two texts that OpenMetrics 1.0 allows:
#   with an exemplar   exit 1, expected integer as timestamp, got "#"
#   a plain counter    exit 3, a_total no help text
set -eu
command -v promtool >/dev/null || exit 77
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
check() { rc=0; promtool check metrics > said 2>&1 || rc=$?; echo "$rc $(cat said)" | tee -a seen; }
printf '# HELP a A.\n# TYPE a counter\na_total 1 # {trace_id="x"} 1.0\n# EOF\n' | check
printf '# HELP a A.\n# TYPE a counter\na_total 1\n# EOF\n' | check
grep -q '^1 .*expected integer as timestamp' seen && grep -q '^3 a_total no help text' seen || { echo 'CHANGED'; exit 1; }
