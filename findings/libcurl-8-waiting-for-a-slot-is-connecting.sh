#!/usr/bin/env bash
# Debian 13 libcurl4t64 8.14.1-2+deb13u7, Debian 12 libcurl4 7.88.1-10+deb12u15, 2026-11-30
#
# CURLMOPT_MAX_HOST_CONNECTIONS is reached, and more transfers wait inside
# libcurl for a free connection.  In 7.88.1 that wait counts towards
# CURLOPT_TIMEOUT only.  In 8.14.1 it counts towards CURLOPT_CONNECTTIMEOUT too,
# which is usually much shorter.  So transfers fail by timeout before they were
# sent, at a server that accepts connections at once.  Result and text are those
# of a server that does not answer.  Only CURLINFO_NUM_CONNECTS and
# CURLINFO_PRETRANSFER_TIME, both 0, show that nothing was sent.  A sender of
# webhooks that counts failures per receiver should keep a queue of its own, and
# give libcurl only what it can send now.
#
# Seen, 4 requests, one connection, answers take 0.4 s, CONNECTTIMEOUT 0.2 s,
# TIMEOUT 10 s; the same binary with both libraries:
#   7.88.1: 4 answered, 4 requests at the server
#   8.14.1: 1 answered, 1 request at the server, 3 ended with 28,
#           "Timeout was reached", after 0.2 s
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
    CURLM *multi = curl_multi_init();
    int running, left, answered = 0, timed_out = 0, unsent = 0;
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
    for (int i = 0; i < 4; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, argv[argc - 1]);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 200L);
        curl_multi_add_handle(multi, easy);
    }
    do {
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL; ) {
            long connects = 0;
            curl_off_t before = 0;
            curl_easy_getinfo(m->easy_handle, CURLINFO_NUM_CONNECTS, &connects);
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRETRANSFER_TIME_T, &before);
            answered += m->data.result == CURLE_OK;
            timed_out += m->data.result == CURLE_OPERATION_TIMEDOUT;
            unsent += m->data.result != CURLE_OK && connects == 0 && before == 0;
            curl_multi_remove_handle(multi, m->easy_handle);
        }
        if (running) curl_multi_poll(multi, NULL, 0, 100, NULL);
    } while (running);
    printf("libcurl %s: answered %d, timed out %d, of those never sent %d\n",
           curl_version_info(CURLVERSION_NOW)->version, answered, timed_out, unsent);
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
import http.server, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        print(self.path, file=sys.stderr, flush=True)
        time.sleep(0.4)
        self.send_response(204); self.send_header('Content-Length', '0'); self.end_headers()
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Slow)
print(server.server_port, flush=True)
server.serve_forever()
P
python3 server.py > port 2> requests & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
for v in 12 13; do
    ld=ld$v
    timeout 30 ${!ld} ./t "http://127.0.0.1:$(cat port)/debian$v" | tee "out$v"
    sleep 0.5; echo "  requests at the server: $(grep -c "debian$v" requests)"
done
grep -q '7.88.1: answered 4, timed out 0, of those never sent 0$' out12 && [ "$(grep -c debian12 requests)" = 4 ] \
    || { echo 'CHANGED: 7.88.1 does not wait'; exit 1; }
grep -q '8.14.1: answered 1, timed out 3, of those never sent 3$' out13 && [ "$(grep -c debian13 requests)" = 1 ] \
    || { echo 'CHANGED: 8.14.1 waits'; exit 1; }
exit 0
