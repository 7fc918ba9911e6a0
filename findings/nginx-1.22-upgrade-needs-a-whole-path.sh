#!/usr/bin/env bash
# Debian 12 nginx 1.22.1-9+deb12u11, 2026-11-30
#
# nginx is upgraded without a lost request by USR2: the old master starts the
# new binary (nginx.org, "Controlling nginx").  It starts what argv[0] says, by
# execve(), which does not look at PATH.  A master that was started as plain
# "nginx" therefore cannot be upgraded: USR2 does nothing but log an alert, and
# the old master goes on.  Started by its whole path, it can.
#
# Seen:
#   nginx            USR2: 1 master, [alert] execve() failed while executing new
#                    binary process "nginx" (2: No such file or directory)
#   /usr/sbin/nginx  USR2: 2 masters
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
dir=$(mktemp -d); pids=
trap 'for p in $pids; do kill -QUIT "$p" 2>/dev/null || :; done; sleep 0.5; rm -rf "$dir"' EXIT
chmod 755 "$dir"
deb bookworm '' nginx=1.22.1-9+deb12u11
sbin=$root/usr/sbin
mkdir "$dir/empty"; cd "$dir/empty"
conf() {
    cat > "$dir/$1.conf" <<C
env LD_LIBRARY_PATH;
pid $dir/$1.pid; error_log $dir/$1.log notice;
events { }
http { access_log off; client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3; uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
       server { listen unix:$dir/$1.sock; } }
C
}
# try NAME COMMAND: starts it, upgrades it, prints how many masters there are.
try() {
    conf "$1"
    PATH=$sbin:$PATH $ld "$2" -c "$dir/$1.conf" -e "$dir/$1.log"
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$dir/$1.pid" ] && break; sleep 0.2; done
    pids="$pids $(cat "$dir/$1.pid")"
    kill -USR2 "$(cat "$dir/$1.pid")"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        grep -q 'execve() failed' "$dir/$1.log" && break
        [ -s "$dir/$1.pid.oldbin" ] && [ -s "$dir/$1.pid" ] && break
        sleep 0.2
    done
    n=1; [ ! -s "$dir/$1.pid.oldbin" ] || { n=2; pids="$pids $(cat "$dir/$1.pid")"; }
    echo "$2: $n master(s) after USR2"; grep -o 'execve() failed.*' "$dir/$1.log" || :
    masters=$n
}
"$sbin/nginx" -v 2>&1 || $ld "$sbin/nginx" -v 2>&1
try plain nginx
[ "$masters" = 1 ] && grep -q 'execve() failed while executing new binary process "nginx" (2:' "$dir/plain.log" \
    || { echo 'CHANGED: a plain name is found'; exit 1; }
try whole "$sbin/nginx"
[ "$masters" = 2 ] || { echo 'CHANGED: a whole path is not enough'; exit 1; }
exit 0
