#!/usr/bin/env bash
# Debian 12 curl, libcurl4 7.88.1-10+deb12u15, Debian 13 curl, libcurl4t64 8.14.1-2+deb13u7, 2026-12-01
#
# A server renews its certificate while it runs.  A new connection that resumes
# a TLS session gets no certificate from the server.  CURLINFO_CERTINFO (of the
# option -w '%{certs}') then has that of the session's first handshake in 7.88.1,
# and nothing in 8.14.1.  So a long-lived program that watches when certificates
# expire reports the old date for as long as it connects often enough, and warns
# of a certificate that was replaced; or it sees none.  Only a connection without
# a session shows the new one: with CURLOPT_SSL_SESSIONID_CACHE 0
# (--no-sessionid), or from another process.
#
# Seen (the server has a new certificate after the first request):
#   request                         TLS session   7.88.1   8.14.1
#   1                               full          old      old
#   2, a new connection             resumed       old      none
#   3, --no-sessionid               full          new      new
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
command -v python3 >/dev/null && command -v openssl >/dev/null || exit 77
cat > "$top/s.py" <<'E'
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, 'resumed' if self.connection.session_reused else 'full', file=log, flush=True)
        if self.path == '/1':
            ctx.load_cert_chain('new.pem', 'new.key')
        self.send_response(204)
        self.end_headers()
    def log_message(self, *a): pass
log = open('log', 'w')
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain('old.pem', 'old.key')
s = http.server.HTTPServer(('127.0.0.1', 0), H)
print(s.server_port, flush=True)
s.socket = ctx.wrap_socket(s.socket, server_side=True)
s.serve_forever()
E
path=$PATH
one() {
    dir=$top/$1; mkdir "$dir"; root=; ld=; PATH=$path
    deb "$1" curl "curl=$2" "$3=$2"
    cd "$dir"
    for c in old:5 new:90; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "${c#*:}" \
            -subj "/CN=${c%:*}" -addext subjectAltName=IP:127.0.0.1 \
            -keyout "${c%:*}.key" -out "${c%:*}.pem" 2>/dev/null
    done
    cat old.pem new.pem > both.pem
    python3 "$top/s.py" > port & server=$!
    while [ ! -s port ]; do sleep 0.1; done
    echo "libcurl $2:"
    url=https://127.0.0.1:$(cat port)
    w='certificates %{num_certs} %{certs}\n'
    curl -s --cacert both.pem -w "$w" "$url/1" "$url/2" --next \
        -s --cacert both.pem -w "$w" --no-sessionid "$url/3" > all
    sed -n 's/^certificates 0.*/none/p; s/^certificates.*Subject: *CN *= *//p' all > shown
    paste -d' ' log shown | tee seen
    kill "$server"; wait "$server" 2>/dev/null || :; server=
    [ "$(tr '\n' ' ' < seen)" = "/1 full old /2 resumed $4 /3 full new " ] \
        || { echo "CHANGED: $2"; exit 1; }
}
one bookworm 7.88.1-10+deb12u15 libcurl4 old
one trixie 8.14.1-2+deb13u7 libcurl4t64 none
exit 0
