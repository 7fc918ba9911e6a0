#!/usr/bin/env bash
# Debian 13 libcurl4t64 8.14.1-2+deb13u7, Debian 12 libcurl4 7.88.1-10+deb12u15, 2026-11-30
#
# CURLINFO_RETRY_AFTER gives the seconds that "Retry-After" says.  8.14.1 never
# gives more than 21600, six hours, whether the field has seconds or a date.  The
# caller cannot see that the value was cut.  The man page names no maximum, and
# 7.88.1 has none.  So a sender that was asked to stay away for a day comes back
# after six hours, once it runs on Debian 13.  A program that obeys longer pauses
# must read the field itself, by curl_easy_header().
#
# Seen, the same binary with both libraries:
#   Retry-After    7.88.1     8.14.1
#   3600             3600       3600
#   21601           21601      21600
#   86400           86400      21600
#   in two days    172800      21600    (a date; 172799 when a second passes)
#   curl_easy_header() gives the whole text in both
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
command -v cc >/dev/null && command -v python3 >/dev/null || exit 77
path=$PATH
dir=$top/12; mkdir "$dir"
deb bookworm '' libcurl4=7.88.1-10+deb12u15 libcurl4-openssl-dev=7.88.1-10+deb12u15
root12=$root; ld12=$ld; root=; ld=; PATH=$path
dir=$top/13; mkdir "$dir"
deb trixie '' libcurl4t64=8.14.1-2+deb13u7
ld13=$ld
cd "$top"
cat > t.c <<'E'
#include <curl/curl.h>
#include <stdio.h>
int main(int argc, char **argv) {
    fprintf(stderr, "libcurl %s\n", curl_version_info(CURLVERSION_NOW)->version);
    for (int i = 1; i < argc; i++) {
        CURL *easy = curl_easy_init();
        struct curl_header *field = NULL;
        curl_off_t seconds = -1;
        curl_easy_setopt(easy, CURLOPT_URL, argv[i]);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
        if (curl_easy_perform(easy) != CURLE_OK) return 2;
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
        curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &field);
        printf("%" CURL_FORMAT_CURL_OFF_T " of \"%s\"\n", seconds, field ? field->value : "none");
        curl_easy_cleanup(easy);
    }
    return 0;
}
E
if [ -n "$root12" ]; then
    lib=$(dirname "$(find "$root12" -name libcurl.so -print -quit)")
    cc -o t t.c -I"$root12/usr/include/$(basename "$lib")" -L"$lib" -Wl,--allow-shlib-undefined -lcurl
else
    cc -o t t.c -lcurl
fi
cat > server.py <<'P'
import email.utils, http.server, time
class Busy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wait = self.path[1:]
        if wait == 'date': wait = email.utils.formatdate(time.time() + 172800, usegmt=True)
        self.send_response(503); self.send_header('Retry-After', wait)
        self.send_header('Content-Length', '0'); self.end_headers()
    def log_message(self, *arguments): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Busy)
print(server.server_port, flush=True)
server.serve_forever()
P
python3 server.py > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
url=http://127.0.0.1:$(cat port)
for v in 12 13; do
    ld=ld$v
    timeout 60 ${!ld} ./t "$url/3600" "$url/21601" "$url/86400" "$url/date" 2> version > "out$v"
    cat version "out$v"
done
[ "$(sed -n '1,3p' out12 | paste -sd' ')" = '3600 of "3600" 21601 of "21601" 86400 of "86400"' ] \
    && awk 'NR == 4 { exit !($1 > 172700 && $1 <= 172800) }' out12 || { echo 'CHANGED: 7.88.1'; exit 1; }
[ "$(sed -n '1,3p' out13 | paste -sd' ')" = '3600 of "3600" 21600 of "21601" 21600 of "86400"' ] \
    && awk 'NR == 4 { exit $1 != 21600 }' out13 || { echo 'CHANGED: 8.14.1 has another maximum'; exit 1; }
exit 0
