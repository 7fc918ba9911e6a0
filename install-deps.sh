#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Installs the missing packages that eventsync needs on Debian 12 and 13, and no
# others.
#
#   install-deps.sh           to build, run and test
#   install-deps.sh bench     also for bench/run
#   install-deps.sh lint      also for make lint
#   install-deps.sh fuzz      also for make fuzz
#   install-deps.sh debian    also for make check-debian
#   install-deps.sh package   also for debian/build.sh, and lintian
#   install-deps.sh caches    also for the tests of other caches and proxies
#   install-deps.sh prometheus
#                             also for the tests with Prometheus and promtool
#   install-deps.sh guides    also for the tests of docs/guides/
#   install-deps.sh no-node   without Node.js and Chromium; their tests are skipped
#                             then
#
# With -n as the first argument it installs nothing and only checks that all
# packages can be installed.  It uses sudo unless it runs as root, and prints
# one line when no package is missing.

set -eu

packages="build-essential pkg-config perl curl ca-certificates
    nginx nginx-dev liblmdb-dev libcurl4-openssl-dev libssl-dev libxxhash-dev
    libev-dev libmicrohttpd-dev libjansson-dev zlib1g-dev libzstd-dev
    libbrotli-dev libpcre2-dev libjose-dev libseccomp-dev faketime
    libio-socket-ssl-perl
    json-schema-test-suite libtest-json-schema-acceptance-perl
    adduser iproute2 jq openssl lowdown man-db zsh fish python3-flask python3-pip"

simulate=
if [ "${1:-}" = -n ]; then
    simulate=--simulate
    shift
fi

node=yes
for group in "$@"; do
    case $group in
    bench) packages="$packages wrk libnginx-mod-nchan nats-server redis-server" ;;
    lint)  packages="$packages clang-tidy cppcheck" ;;
    fuzz)  packages="$packages clang libclang-rt-dev" ;;
    debian) packages="$packages debootstrap" ;;
    package) packages="$packages debhelper po-debconf lintian" ;;
    caches) packages="$packages varnish haproxy squid" ;;
    prometheus) packages="$packages prometheus python3-prometheus-client" ;;
    guides)
        packages="$packages php-cli php-curl ruby ruby-sinatra puma jq
            libjackson2-databind-java python3-jwcrypto"
        # The guides are for any version.
        command -v go >/dev/null || packages="$packages golang-go"
        command -v javac >/dev/null || packages="$packages default-jdk-headless"
        ;;
    no-node) node= ;;
    *)     echo "install-deps.sh: unknown group \"$group\"" >&2; exit 2 ;;
    esac
done

# The test with the independent verifiers accepts any version of Node.js.
if [ -n "$node" ] \
    && { ! command -v node >/dev/null || ! command -v npm >/dev/null; }
then
    packages="$packages nodejs npm"
fi

# The test of the dashboard drives it.
if [ -n "$node" ]; then
    packages="$packages chromium"
fi

missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) \
        || status=
    [ "$status" = installed ] || missing="$missing $package"
done

if [ -z "$missing" ]; then
    echo "install-deps: everything is installed"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "install-deps: this is not Debian; install these packages:$missing" >&2
    exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi

# The packages of servers would start them.  While they are installed, a policy
# prevents that; an existing policy is not changed.
policy=/usr/sbin/policy-rc.d
made_policy=
cleanup() {
    [ -z "$made_policy" ] || $as_root rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

case " $missing $simulate" in
*--simulate) ;;
*" nginx "*|*" varnish "*|*" prometheus "*|*" nats-server "*|*" redis-server "*)
    if [ ! -e "$policy" ]; then
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
    fi
    ;;
esac

[ -n "$simulate" ] && does=checking || does=installing
echo "install-deps: $does$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $simulate $missing
