#!/usr/bin/env bash
# Debian 12 curl, libcurl4 7.88.1-10+deb12u15, Debian 13 curl, libcurl4t64 8.14.1-2+deb13u7, 2026-11-30
#
# A header field whose value begins on the next line ("Retry-After:", line end,
# " 3600": obs-fold, RFC 9112, 5.2) has the value "3600" to a reader of HTTP/1.
# curl_easy_header() joins such lines and removes the blanks around a value, but
# not here: 7.88.1 begins the value with a carriage return, 8.14.1 with a blank.
# A program that compares the value, or looks at its first character, takes a
# valid Retry-After for none.  It must skip blanks and line ends by itself.
#
# Seen (%header{} of "curl -w" is curl_easy_header()):
#   field sent                      7.88.1      8.14.1
#   Retry-After: 3600               3600        3600
#   Retry-After:\r\n 3600           \r3600      " 3600"
#   Retry-After: a,\r\n b           a, b        a, b
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
top=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$top"' EXIT
command -v python3 >/dev/null || exit 77
cat > "$top/s.py" <<'E'
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    path = c.recv(65536).split(b' ')[1]
    v = {b'/0': b' 3600', b'/1': b'\r\n 3600', b'/2': b' a,\r\n b'}[path]
    c.sendall(b'HTTP/1.1 503 Busy\r\nRetry-After:' + v + b'\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    c.close()
E
python3 "$top/s.py" > "$top/port" & server=$!
while [ ! -s "$top/port" ]; do sleep 0.1; done
port=$(cat "$top/port"); path=$PATH
one() {
    dir=$top/$1; mkdir "$dir"; root=; ld=; PATH=$path
    deb "$1" curl "curl=$2" "$3=$2"
    echo "libcurl $2:"
    for n in 0 1 2; do
        curl -s -o /dev/null -w '%header{retry-after}' "http://127.0.0.1:$port/$n" | od -An -c
    done | tee "$top/$1.seen"
}
one bookworm 7.88.1-10+deb12u15 libcurl4
one trixie 8.14.1-2+deb13u7 libcurl4t64
[ "$(tr -s ' \n' _ < "$top/bookworm.seen")" = '_3_6_0_0_\r_3_6_0_0_a_,_b_' ] || { echo 'CHANGED: 7.88.1'; exit 1; }
[ "$(tr '\n' / < "$top/trixie.seen" | sed 's/   //g')" = '3600/ 3600/a, b/' ] || { echo 'CHANGED: 8.14.1'; exit 1; }
exit 0
