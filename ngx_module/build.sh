#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

# Builds ngx_http_eventsync_module.so into $BUILD (default: build).
#
#   against the installed nginx-dev:   sh ngx_module/build.sh
#   against plain sources:             NGINX_SRC=dir sh ngx_module/build.sh
#                                      (builds $BUILD/nginx as well)
#
# OPT (default -O2 -g) is given to the compiler, LDFLAGS to the linker, and
# SANITIZE, such as "-fsanitize=address,undefined", to both.

set -e

# our make's options and variables must not reach nginx's makefiles
unset MAKEFLAGS MFLAGS

repo=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$repo/build}
dev=/usr/share/nginx/src
jobs=$(getconf _NPROCESSORS_ONLN)
cc_opt="${OPT:--O2 -g} -fPIC $SANITIZE"
ld_opt="$SANITIZE $LDFLAGS"

mkdir -p "$build"
build=$(cd "$build" && pwd)

if [ -z "$NGINX_SRC" ] && [ ! -f "$dev/conf_flags" ]; then
    echo "$0: no nginx sources: install nginx-dev or set NGINX_SRC" >&2
    exit 1
fi

src=${NGINX_SRC:-$dev}
tree=$build/nginx-src

# Debian's source directory must not be written to.  Keep a copy, and make it
# again only if it comes from another directory.

if [ "$(cat "$tree/.origin" 2>/dev/null)" != "$src" ]; then
    rm -rf "$tree"
    mkdir -p "$tree"
    cp -rL "$src/." "$tree"
    echo "$src" > "$tree/.origin"
fi

cd "$tree"

# The modules that the tests use; Debian's nginx has all of them.

options="--with-compat --with-threads --with-debug --with-http_v2_module
    --with-http_ssl_module --with-http_stub_status_module
    --with-http_gunzip_module --with-http_auth_request_module
    --with-http_realip_module"

# Configure again only when the list of files or the options have changed.

want="$src|$options|$cc_opt|$ld_opt|$(cat "$repo/config")|$(ls "$repo"/ngx_module/*.c \
    "$repo"/shared/*/*.[ch])"

if [ "$(cat .configured 2>/dev/null)" != "$want" ] || [ ! -f objs/Makefile ]
then
    rm -f .configured

    if [ -n "$NGINX_SRC" ]; then
        configure=configure
        [ -f configure ] || configure=auto/configure

        # shellcheck disable=SC2086
        ./$configure $options --with-cc-opt="$cc_opt" \
            --with-ld-opt="$ld_opt" --add-dynamic-module="$repo" \
            > configure.log || { cat configure.log >&2; exit 1; }
    else
        bash -c '. ./conf_flags && exec ./configure "${NGX_CONF_FLAGS[@]}" \
            --with-cc-opt="$1" --with-ld-opt="$2" --add-dynamic-module="$3"' \
            configure "$cc_opt" "$ld_opt" "$repo" > configure.log \
            || { cat configure.log >&2; exit 1; }
    fi

    echo "$want" > .configured
fi

# write the files only if their sources have changed

sh "$repo/ngx_module/openapi.sh" "$repo/docs/openapi.json" \
    objs/ngx_http_eventsync_openapi.inc
sh "$repo/ngx_module/dashboard.sh" "$repo/dashboard" \
    objs/ngx_http_eventsync_dashboard.inc

if [ -n "$NGINX_SRC" ]; then
    make -s -f objs/Makefile -j "$jobs" binary
    cp objs/nginx "$build/nginx"
fi

make -s -f objs/Makefile -j "$jobs" modules

cp objs/ngx_http_eventsync_module.so "$build/ngx_http_eventsync_module.so.new"
mv "$build/ngx_http_eventsync_module.so.new" \
    "$build/ngx_http_eventsync_module.so"
