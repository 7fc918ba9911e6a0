#!/usr/bin/env bash
# Debian 12 nginx 1.22.1-9+deb12u11 (1.26.3-3+deb13u11 of Debian 13 does the same), 2026-11-30
#
# proxy_cache with proxy_cache_revalidate: the origin answers 304, with new
# header fields.  nginx takes the new lifetime from it, and nothing else.
# Clients get the fields of the first answer for as long as the entry lives,
# although RFC 9111 (3.2, 4.3.4) requires a cache to update the stored ones.  So
# a "Deprecation" or a "Link" that came later, or a shorter max-age, does not
# arrive.  nginx sends no Age either, and the Date is that of the hit.  So a
# client, or a second cache behind nginx, counts the first max-age from each hit
# anew.
#
# Seen, 200 with X-Accel-Expires 1, "max-age=3600" and "Link: <1>", later 304
# with X-Accel-Expires 100, "max-age=60", "Link: <2>" and "Deprecation: @1":
#   first           MISS         max-age=3600  Link <1>
#   after 3 s       REVALIDATED  max-age=3600  Link <1>  no Deprecation, no Age
#   after 6 s       HIT          the same, Date 6 s later than the first
#   requests at the origin: 2, so the 304's lifetime was taken
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
dir=$(mktemp -d); server=; nginx=
trap 'for p in $server $nginx; do kill "$p" 2>/dev/null || :; done; sleep 0.5; rm -rf "$dir"' EXIT
command -v python3 >/dev/null || exit 77
deb "${RELEASE:-bookworm}" '' nginx="${VERSION:-1.22.1-9+deb12u11}"
chmod 755 "$dir"; cd "$dir"
cat > server.py <<'P'
import http.server, sys
class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        known = self.headers.get('If-None-Match') == '"e"'
        print(304 if known else 200, file=sys.stderr, flush=True)
        self.send_response(304 if known else 200)
        self.send_header('ETag', '"e"')
        self.send_header('X-Accel-Expires', '100' if known else '1')
        self.send_header('Cache-Control', 'max-age=60' if known else 'max-age=3600')
        self.send_header('Link', '<2>; rel="next"' if known else '<1>; rel="next"')
        if known:
            self.send_header('Deprecation', '@1')
        else:
            self.send_header('Content-Length', '4')
        self.end_headers()
        if not known:
            self.wfile.write(b'page')
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Origin)
print(server.server_port, flush=True)
server.serve_forever()
P
python3 server.py > port 2> requests & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
cat > nginx.conf <<C
daemon off; master_process off; pid $dir/pid; error_log $dir/log;
events { }
http { access_log off; client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3; uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
       proxy_cache_path $dir/cache keys_zone=pages:1m use_temp_path=off;
       server { listen unix:$dir/sock;
                location / { proxy_pass http://127.0.0.1:$(cat port); proxy_cache pages; proxy_cache_revalidate on;
                             add_header X-Cache \$upstream_cache_status; } } }
C
program=$root/usr/sbin/nginx
$ld "$program" -v
$ld "$program" -c "$dir/nginx.conf" -e "$dir/log" & nginx=$!
for _ in $(seq 50); do [ -S sock ] && break; sleep 0.1; done
cat > get.py <<'P'
import email.utils, http.client, socket, sys, time
def get():
    connection = http.client.HTTPConnection('x.example')
    connection.sock = socket.socket(socket.AF_UNIX); connection.sock.settimeout(10)
    connection.sock.connect('sock')
    connection.request('GET', '/page')
    answer = connection.getresponse(); answer.read()
    date = email.utils.parsedate_to_datetime(answer.headers['Date']).timestamp()
    print(answer.status, answer.headers['X-Cache'], answer.headers['Cache-Control'], answer.headers['Link'],
          answer.headers['Deprecation'], answer.headers['Age'], flush=True)
    return date
first = get(); time.sleep(3); get(); time.sleep(3); last = get()
print('Date moved on' if last - first >= 5 else 'Date stands')
P
timeout 60 python3 get.py | tee out
echo "origin: $(paste -sd' ' requests)"
cat > expected <<'T'
200 MISS max-age=3600 <1>; rel="next" None None
200 REVALIDATED max-age=3600 <1>; rel="next" None None
200 HIT max-age=3600 <1>; rel="next" None None
Date moved on
T
diff expected out || { echo 'CHANGED'; exit 1; }
[ "$(paste -sd' ' requests)" = '200 304' ] || { echo 'CHANGED: the lifetime of the 304 is not taken'; exit 1; }
exit 0
