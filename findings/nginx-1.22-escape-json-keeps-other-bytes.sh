#!/usr/bin/env bash
# Debian 12 nginx 1.22.1-9+deb12u11, 2026-12-01
#
# "log_format … escape=json" is for logs of which each line is JSON.  It escapes
# quotes, backslashes and control characters, and lets bytes through that are no
# UTF-8.  A client can send such bytes in the URL ($uri, $request_uri, $args) and
# in every header field ($http_user_agent).  RFC 8259 (8.1) wants UTF-8: Python's
# and Perl's decoders refuse the line, and a loader may stop at it.  A map that
# lets only ASCII through helps: map $request_uri $path { "~^([!-~]+)$" $1; }.
#
# Seen, of GET /a%ff and GET /<byte ff>:
#   escape=json  $uri: 2 of 2 lines are no UTF-8; $request_uri: 1 of 2
#   the map      0 of 2
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
dir=$(mktemp -d); pid=; trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || :; rm -rf "$dir"' EXIT
command -v python3 >/dev/null || exit 77
deb bookworm nginx nginx=1.22.1-9+deb12u11
PATH=$PATH:/usr/sbin
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > "$dir/nginx.conf" <<E
pid $dir/pid; daemon off; error_log $dir/error.log; events { }
http {
    client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    map \$request_uri \$path { default ""; "~^([!-~]+)\$" \$1; }
    log_format uri escape=json '{"uri":"\$uri"}';
    log_format request_uri escape=json '{"uri":"\$request_uri"}';
    log_format path escape=json '{"uri":"\$path"}';
    access_log $dir/uri uri; access_log $dir/request_uri request_uri; access_log $dir/path path;
    server { listen 127.0.0.1:$port; location / { return 204; } }
}
E
nginx -v
nginx -e "$dir/error.log" -c "$dir/nginx.conf" & pid=$!
python3 - "$port" <<'E'
import socket, sys, time
for line in (b"/a%ff", b"/\xff"):
    for _ in range(50):
        try: s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); break
        except OSError: time.sleep(0.1)
    s.sendall(b"GET " + line + b" HTTP/1.0\r\n\r\n")
    assert b" 204 " in s.recv(1000)
E
for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(wc -l < "$dir/path")" = 2 ] && break; sleep 0.2; done
bad() { python3 -c '
import json, sys
bad = 0
for line in open(sys.argv[1], "rb"):
    try: json.loads(line.decode())
    except ValueError: bad += 1
print(bad)' "$dir/$1"; }
u=$(bad uri); r=$(bad request_uri); p=$(bad path)
echo "lines that are no JSON: \$uri $u, \$request_uri $r, the map $p"
[ "$u $r" = '2 1' ] || { echo 'CHANGED: escape=json escapes them'; exit 1; }
[ "$p" = 0 ] || { echo 'CHANGED: the map does not help'; exit 1; }
exit 0
