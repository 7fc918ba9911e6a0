#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Runs the README's two commands in temporary trees of Debian releases, each
# from a fresh installation:
#
#   t/debian.sh [MODE] [RELEASE ...]
#
# A release is a name, or "other", which is the one of bookworm and trixie that
# this machine does not run, or "own".  The default is both.  It builds a clean
# clone of HEAD, so that only committed files count.  A mode does something else
# instead:
#
#   smoke          builds everything, also the packages, and runs a short list
#                  of tests
#   package        builds the packages into build/package/RELEASE
#   check-package  the same; lintian checks them, and t/package.pl installs,
#                  upgrades, removes and purges them in another fresh tree
#   smoke-package  the same for the release of this machine, without a tree for
#                  the build and without a second build for the upgrade
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
t/dispatcher/clock.t t/ctl/probe.t t/docs/demo.t"

skip() {
    echo "debian.sh: ${release:+$release: }skipped: $*"
    exit 77
}

# The first upload of a package to Debian closes a bug; this is none.
lint() {
    lintian --allow-root --fail-on error,warning \
        --suppress-tags initial-upload-closes-no-bugs "$1"/*.changes
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
    forget "$home"/*.new "$home"/*.run "$home"/*.packages
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
    case $1 in
    smoke)
        sh ./install-deps.sh no-node package
        sh ./install-deps.sh -n bench lint fuzz debian > /dev/null
        make -j"$(nproc)" all
        make check TESTS="$smoke_tests"
        sh debian/build.sh packages/new > build/package.log 2>&1 \
            || { tail -n 50 build/package.log; exit 1; }
        lint packages/new
        ;;
    all)
        DEMO_ONCE=1 make demo
        make test
        ;;
    *package)
        apt-get update -q
        apt-get build-dep -y -q --no-install-recommends ./
        sh debian/build.sh packages/new
        [ "$1" = check-package ] || return 0
        apt-get install -y -q --no-install-recommends lintian
        lint packages/new
        sh debian/build.sh packages/next 9.1.0
        ;;
    install)
        # what t/package.pl needs, and then no network
        apt-get update -q
        apt-get install -y -q --no-install-recommends curl iproute2 strace \
            systemd
        apt-get install -y -q --no-install-recommends --download-only \
            ./packages/new/*.deb
        # this shell stays as process 1, which reaps nginx's old masters
        unshare --net perl t/package.pl packages/*
        ;;
    esac
}

case ${1:-} in
in-bootstrap) shift; in_bootstrap "$@"; exit ;;
in-tree)      shift; in_tree "$@" ;;
in-src)       shift; in_src "$@"; exit ;;
esac

###############################################################################
# outside

own=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
[ "$own" = trixie ] && other=bookworm || other=trixie

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

# Runs in_src() with $1 in a fresh tree, with the packages of $2 if any.
fresh() {
    base

    forget "$tree"
    cp -a "$home/$release" "$tree"
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    [ ! -f "${NODE_EXTRA_CA_CERTS:-}" ] \
        || install -D -m 644 "$NODE_EXTRA_CA_CERTS" "$tree$NODE_EXTRA_CA_CERTS"
    git clone -q "$root" "$tree/src"
    [ -z "${2:-}" ] || cp -r "$2" "$tree/src/packages"

    case $1 in
    all)      limit=5400 ;;
    *package) limit=3600 ;;
    *)        limit=1200 ;;
    esac
    if ! inside in-tree "$tree" "$1"; then
        echo "debian.sh: $release: failed" >&2
        exit 1
    fi
}

# Leaves the packages in $packages, and those of this version in build/package.
build_packages() {
    packages=$home/$release.packages
    forget "$packages"

    if [ "$mode" = smoke-package ]; then
        sh "$root/install-deps.sh" package
        sh "$root/debian/build.sh" "$packages/new"
        lint "$packages/new"
    else
        fresh "$mode"
        mv "$tree/src/packages" "$packages"
    fi

    mkdir -p "$root/build/package"
    forget "$root/build/package/$release"
    cp -r "$packages/new" "$root/build/package/$release"
    chown -R --reference="$root" "$root/build/package"
}

run() {
    began=$(date +%s)
    tree=$home/$release.run
    echo "debian.sh: $release: starting, $mode"

    case $mode in
    *package) build_packages ;;
    *)        fresh "$mode" ;;
    esac

    case $mode in
    check-package|smoke-package) fresh install "$packages" ;;
    esac

    forget "$tree"
    echo "debian.sh: $release: passed in $(($(date +%s) - began)) s"
}

case ${1:-} in
smoke|package|check-package|smoke-package)
    mode=$1
    shift
    ;;
esac

[ $# -gt 0 ] || set -- bookworm trixie

if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || skip "this needs root"
    [ "$mode" = all ] || set -- "$mode" "$@"
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
    case $release in
    own)   release=$own ;;
    other) release=$other ;;
    esac
    run
done
