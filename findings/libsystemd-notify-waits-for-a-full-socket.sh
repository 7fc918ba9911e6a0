#!/usr/bin/env bash
# Debian 12 libsystemd0 252.38-1~deb12u1, 2026-11-30
#
# A service tells its manager by sd_notify() that it is alive.  The call looks
# like a send that can be forgotten: it returns at once, also without a manager,
# and the manual has no word of waiting.  But it WAITS while the socket of the
# manager is full, for as long as the manager does not read: a supervisor that
# is stopped or hangs stops the event loops of its services, too.  Send from
# another thread, or write the datagram with MSG_DONTWAIT oneself.
#
# Seen, a socket that nobody reads, net.unix.max_dgram_qlen 512:
#   513 calls return, call 514 waits (in unix_wait_for_peer)
set -eu
# deb RELEASE PROGRAMS PACKAGE=VERSION …: packages that are not installed in just
# this version come, with what they need, into $dir/root; nothing on the machine
# changes.  NOT_INSTALLED=1 in the environment does so in any case.
root=; ld=
deb() {
    PATH=$PATH:/usr/sbin; release=$1; programs=$2; shift 2; there=${NOT_INSTALLED:-0}; names=' '
    for p in "$@"; do names="$names${p%%=*} "; [ "$(dpkg-query -W -f '${Version}' "${p%%=*}" 2>/dev/null)" = "${p#*=}" ] || there=1; done
    [ "$there" = 0 ] && return
    root=$dir/root; a=$dir/apt; chmod 755 "$dir"; mkdir -p "$root" "$dir/bin" "$a/parts" "$a/lists/partial" "$a/archives/partial"
    own=$(. /etc/os-release; echo "$VERSION_CODENAME")
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if grep -Eqs "[[:space:]]$own([[:space:]/]|\$)" "$f"; then sed "s/\\b$own/$release/g" "$f" > "$a/parts/${f##*/}"; fi
    done
    : > "$a/status"; [ "$own" != "$release" ] || awk -v RS= -v ORS='\n\n' -v names="$names" '!index(names, " " $2 " ")' /var/lib/dpkg/status > "$a/status"
    apt() { apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$a/parts" -o Dir::State="$a" -o Dir::State::Status="$a/status" -o Dir::Cache="$a" -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@" >> "$a/log" 2>&1; }
    apt update || :
    apt install -y --no-install-recommends --download-only "$@" || { echo "not to be had: $*"; exit 77; }
    for f in "$a"/archives/*.deb; do
        case $own:${f##*/} in $release:libc6_*) ;; *) dpkg -x "$f" "$root" ;; esac
    done
    libs=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
    ld="env LD_LIBRARY_PATH=$libs"; [ "$own" = "$release" ] || ld="$(find "$root" -name 'ld-linux*.so*' -print -quit) --library-path $libs"
    for p in $programs; do
        printf '#!/bin/sh\nexec %s %s "$@"\n' "$ld" "$(find "$root/usr/bin" "$root/usr/sbin" "$root/bin" "$root/sbin" -name "$p" -print -quit 2>/dev/null)" > "$dir/bin/$p"; chmod 755 "$dir/bin/$p"
    done
    PATH=$dir/bin:$PATH
}
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
command -v cc >/dev/null || exit 77
deb bookworm '' libsystemd0=252.38-1~deb12u1
cd "$dir"
cat > t.c <<'E'
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int sd_notify(int unset, const char *state);
static int n;
static void late(int sig) { (void) sig; printf("call %d waits\n", n); fflush(stdout); _exit(0); }
int main(int argc, char **argv) {
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    (void) argc;
    strcpy(a.sun_path, argv[1]);
    if (bind(fd, (struct sockaddr *) &a, sizeof(a)) != 0) return 2;
    setenv("NOTIFY_SOCKET", argv[1], 1);
    signal(SIGALRM, late);
    for (n = 1; n <= 100000; n++) {
        alarm(3);
        if (sd_notify(0, "WATCHDOG=1") < 0) { printf("call %d fails\n", n); return 0; }
    }
    printf("no call waits\n");
    return 0;
}
E
cc -o t t.c "$(find ${root:-/usr/lib /lib} -name 'libsystemd.so.0' -print -quit)" -Wl,--allow-shlib-undefined
timeout 60 $ld ./t "$dir/notify" | tee out
grep -q ' waits$' out || { echo 'CHANGED: sd_notify() does not wait any more'; exit 1; }
exit 0
