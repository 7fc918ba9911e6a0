#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Runs the README's two commands in temporary trees of Debian releases, each
# from a fresh installation:
#
#   t/debian.sh [smoke] [RELEASE ...]
#
# A release is a name, or "other", which is the one of bookworm and trixie that
# this machine does not run.  The default is both.  "smoke" builds everything
# and runs a short list of tests instead.  It builds a clean clone of HEAD, so
# that only committed files count.
#
# Everything runs in its own namespaces for mounts and processes, so that no
# mount and no process survives, however the script ends.  The trees are in
# build-debian, where the result of debootstrap is kept for a day.
#
# Exit status 77: a tree cannot be created here; the last line states the
# reason.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
self=$root/t/debian.sh
home=$root/build-debian
release=
mode=all

smoke_tests="build/unit/* t/ctl/beside.t t/store/store.t t/module/publish.t t/module/poll.t \
t/module/sse.t t/store/containers.t t/module/pages.t t/module/endpoints.t t/module/reload.t t/store/schema.t t/dispatcher/deliver.t \
t/dispatcher/retry.t t/dispatcher/misbehave.t \
t/dispatcher/clock.t t/docs/demo.t"

skip() {
    echo "debian.sh: ${release:+$release: }skipped: $*"
    exit 77
}

# Runs $self NAME ARGUMENTS in new namespaces.  It keeps only the variables of
# the environment that the network needs.
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} \
        ${no_proxy:+no_proxy="$no_proxy"} \
        ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} \
        setpriv --pdeathsig TERM timeout -k 10 "$limit" \
        unshare --mount --pid --fork --kill-child sh "$self" "$@" </dev/null &
    child=$!
    wait "$child" && status=0 || status=$?
    child=
    return "$status"
}

# Mounts exist only in the namespace, so that this removes no mounted files.
forget() {
    rm -rf --one-file-system "$@"
}

cleanup() {
    [ -z "${child:-}" ] || { kill "$child"; wait "$child" || :; } 2>/dev/null
    forget "$home"/*.new "$home"/*.run
}

###############################################################################
# inside

in_bootstrap() {
    mount -t proc proc /proc
    debootstrap --variant=minbase --include=git,make,ca-certificates \
        "$1" "$2" "$3"
}

# Makes the tree the root, as in a container: in a chroot the tests could not
# create namespaces.
in_tree() {
    tree=$1

    mount --bind "$tree" "$tree"
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mount -t tmpfs tmpfs "$tree/dev/shm"
    mount --rbind /sys "$tree/sys"

    cd "$tree"
    mkdir -p old
    pivot_root . old
    exec chroot . sh /src/t/debian.sh in-src "$2"
}

in_src() {
    umount -l /old
    rmdir /old

    cd /src
    if [ "$1" = smoke ]; then
        sh ./install-deps.sh no-node
        sh ./install-deps.sh -n bench lint fuzz debian > /dev/null
        make -j"$(nproc)" all
        make check TESTS="$smoke_tests"
    else
        DEMO_ONCE=1 make demo
        make test
    fi
}

case ${1:-} in
in-bootstrap) shift; in_bootstrap "$@"; exit ;;
in-tree)      shift; in_tree "$@" ;;
in-src)       shift; in_src "$@"; exit ;;
esac

###############################################################################
# outside

other() {
    case $(. /etc/os-release; echo "${VERSION_CODENAME:-}") in
    trixie) echo bookworm ;;
    *)      echo trixie ;;
    esac
}

# Creates the tree $home/$release with debootstrap.
base() {
    [ -z "$(find "$home/$release" -maxdepth 0 -mtime 0 2>/dev/null)" ] \
        || return 0

    sh "$root/t/apt-sources.sh" deb "$release" > "$home/sources.list"
    mirror=$(sed -n "s/^deb \([^ ]*\) $release main$/\1/p" \
        "$home/sources.list" | head -n 1)
    [ -n "$mirror" ] || skip "apt has no readable source of Debian"

    limit=900
    forget "$home/$release" "$home/$release.new"
    inside in-bootstrap "$release" "$home/$release.new" "$mirror" \
        > "$home/$release.log" 2>&1 \
        || skip "cannot create the tree: $(tail -n 1 "$home/$release.log")"

    # The tree is kept for a day and need not survive a power loss.
    echo force-unsafe-io > "$home/$release.new/etc/dpkg/dpkg.cfg.d/throw-away"
    cp "$home/sources.list" "$home/$release.new/etc/apt/sources.list"
    apt-config dump 2>/dev/null | grep '^Acquire::https*::Proxy' \
        > "$home/$release.new/etc/apt/apt.conf.d/90proxy" || :
    mv "$home/$release.new" "$home/$release"
    touch "$home/$release"
}

run() {
    began=$(date +%s)
    echo "debian.sh: $release: starting, $mode"
    base

    tree=$home/$release.run
    forget "$tree"
    cp -a "$home/$release" "$tree"
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    [ ! -f "${NODE_EXTRA_CA_CERTS:-}" ] \
        || install -D -m 644 "$NODE_EXTRA_CA_CERTS" "$tree$NODE_EXTRA_CA_CERTS"
    git clone -q "$root" "$tree/src"

    [ "$mode" = smoke ] && limit=1200 || limit=5400
    if ! inside in-tree "$tree" "$mode"; then
        echo "debian.sh: $release: failed" >&2
        exit 1
    fi
    forget "$tree"
    echo "debian.sh: $release: passed in $(($(date +%s) - began)) s"
}

if [ "${1:-}" = smoke ]; then
    mode=smoke
    shift
fi

[ $# -gt 0 ] || set -- bookworm trixie

if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || skip "this needs root"
    [ "$mode" = all ] || set -- smoke "$@"
    exec sudo sh "$self" "$@"
fi

sh "$root/install-deps.sh" debian > /dev/null 2>&1 \
    || skip "debootstrap cannot be installed"
unshare --mount --pid --fork sh -c 'mount -t proc proc /proc' 2>/dev/null \
    || skip "mounts are not permitted here"

mkdir -p "$home"
exec 9> "$home/lock"
flock -n 9 || skip "another run is in progress"

trap cleanup EXIT
trap 'exit 1' INT TERM HUP

for release in "$@"; do
    [ "$release" != other ] || release=$(other)
    run
done
