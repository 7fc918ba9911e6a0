# SPDX-License-Identifier: BSD-2-Clause

# Builds eventsync on Debian 12 and 13: library, dispatcher, command line and
# nginx module.
#
#   make             build everything, for the nginx of the package nginx-dev
#   make demo        install missing packages, build, and show the system
#   make test        install missing packages, build, and run every test
#   make check       run the tests only; TESTS=t/module/poll.t for one,
#                    JOBS=1 for one after the other
#   make check-long  the same with many more rounds of kill -9 and of fuzzing
#   make check-asan  the same under AddressSanitizer and UBSan
#   make check-debian   both README commands in fresh trees of Debian 12 and 13;
#                    DEBIAN="smoke trixie" for less
#   make package     Debian packages for both, into build/package/
#   make check-package   the same, and install, upgrade and purge them
#   make bench-deps  install wrk and nchan, and build the programs of bench/run
#   make fuzz        fuzz the parsers with clang, and requests to a worker,
#                    FUZZ_TIME=60 seconds each
#   make otel-collector   an OpenTelemetry collector, for t/docs/collector.t
#   make lint        clang-tidy and cppcheck
#   make man         man pages, made of docs/
#   make completion  completion of both commands for bash, zsh and fish
#   make install     DESTDIR and PREFIX as usual

BUILD   ?= build
# The dependency files name the objects by this path, so it must be the same
# however the directory was given.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX  ?= /usr
LIBSUBDIR ?= lib
SANITIZE ?=

CC      ?= cc
OPT     ?= -O2 -g
CFLAGS  ?=
WARN     = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wwrite-strings
ALLFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=default $(OPT) $(WARN) $(SANITIZE) -Ishared -Ishared/include $(CFLAGS)

# shared/include/eventsync.h is the only place that states the version.
VERSION := $(shell sed -n 's/^.define ES_VERSION  *"\(.*\)"/\1/p' \
           shared/include/eventsync.h)

LIB_LIBS        = -llmdb -lxxhash -ljansson -lcrypto -lz -lzstd -lbrotlienc \
                  -lbrotlidec -lpcre2-8 -ljose -lpthread
DISPATCHER_LIBS = -lcurl -lev -lssl -lseccomp
CTL_LIBS        = -lcurl -lmicrohttpd

LIB_SRC        := $(wildcard shared/*/*.c)
DISPATCHER_SRC := $(wildcard dispatcher/*.c)
CTL_SRC        := $(wildcard ctl/*.c)
UNIT_SRC       := $(wildcard t/unit/*.c)
HELPER_SRC     := $(wildcard t/helper/*.c)
FUZZ_SRC       := $(filter-out t/fuzz/replay.c,$(wildcard t/fuzz/*.c))
BENCH_SRC      := $(wildcard bench/*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIB    = $(BUILD)/libeventsync.a
UNITS  = $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
PRELOAD = $(BUILD)/acts.so $(BUILD)/clock.so $(BUILD)/fault.so $(BUILD)/kill.so \
          $(BUILD)/landlock.so $(BUILD)/writes.so
FUZZ    = $(patsubst t/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
HELPERS = $(patsubst t/helper/%.c,$(BUILD)/helper/%,$(HELPER_SRC))
BENCHES = $(patsubst bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))

BINDIR  = $(DESTDIR)$(PREFIX)/bin
SBINDIR = $(DESTDIR)$(PREFIX)/sbin
LIBDIR  = $(DESTDIR)$(PREFIX)/$(LIBSUBDIR)
MODDIR  = $(DESTDIR)$(PREFIX)/lib/nginx/modules
INCDIR  = $(DESTDIR)$(PREFIX)/include
SHAREDIR = $(DESTDIR)$(PREFIX)/share

TESTS            ?= t/ $(UNITS)
# Each test has ports and files of its own, and mostly waits.
JOBS             ?= 3
# An explicit -j, as in make -j2 test, takes precedence.
PARALLEL          = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
DEBIAN           ?= bookworm trixie
# This is the last svix with a verifier of its own instead of standardwebhooks.
# jose is an issuer of tokens, for t/module/issuers_jose.t.
VERIFIERS         = standardwebhooks@1.0.0 svix@1.76.1 jose@6.2.18

# Readers of streams, for t/module/sse_clients.t; the second needs Node.js 22.
READERS           = eventsource@4.1.1 eventsource5@npm:eventsource@5.1.5 \
                    event-source-polyfill@1.0.31

# What drives Chromium, for t/dashboard/.
BROWSER           = playwright-core@1.65.1 axe-core@4.14.1

# Linters of the OpenAPI document, for t/docs/openapi_lint.t.
LINTERS           = @redocly/cli@2.77.0 @stoplight/spectral-cli@6.16.3

# What makes a client of the OpenAPI document, for t/docs/client.t.
CLIENT            = openapi-typescript@7.13.0 openapi-fetch@0.17.0 \
                    typescript@5.9.3

# What the receivers of docs/receivers.md use, for t/docs/receivers.t.
RECEIVERS         = fastify@5.12.8 express@5.3.0 hono@4.13.19 \
                    @hono/node-server@2.1.9 standardwebhooks@1.1.1 svix@1.99.1 \
                    cloudevents@10.0.0

# OpenTelemetry's protocol as protoc has compiled it, for tests of spans.
OTLP_PROTO        = opentelemetry-proto==1.45.2 protobuf==7.36.2

# What makes requests of the OpenAPI document, for t/docs/contract.t.
CONTRACT          = schemathesis==4.32.5
CONTRACT_EXAMPLES ?= 200

ASAN_BUILD        = build-asan
ASAN = BUILD=$(ASAN_BUILD) OPT="-O1 -g -fno-omit-frame-pointer" \
       SANITIZE="-fsanitize=address,undefined" \
       NGINX_SRC=$(abspath $(ASAN_BUILD))/nginx-plain

FUZZ_BUILD        = build-fuzz
FUZZ_TIME        ?= 60
FUZZ_SANITIZE     = address,undefined
FUZZERS           = $(patsubst t/fuzz/%.c,$(FUZZ_BUILD)/%,$(FUZZ_SRC))
FUZZ_LIB          = $(patsubst %.c,$(FUZZ_BUILD)/%.o,$(LIB_SRC))

LINT_SRC    = $(LIB_SRC) $(DISPATCHER_SRC) $(CTL_SRC) $(BENCH_SRC)
LINT_FLAGS  = -std=gnu11 -D_GNU_SOURCE -Ishared -Ishared/include
MODULE_SRC := $(wildcard ngx_module/*.c)

.PHONY: all lib tools units bench module demo deps test-deps test check \
        check-asan check-debian check-long check-package package asan-nginx fuzz \
        fuzz-parsers fuzz-requests fuzz-deps bench-deps verifier readers \
        linters receivers browser otlp-proto otel-collector contract \
        client check-contract lint man completion install clean

all: tools units module

lib: $(LIB)
tools: $(BUILD)/eventsync-dispatcher $(BUILD)/eventsyncctl
units: $(UNITS) $(PRELOAD) $(HELPERS) $(FUZZ)
bench: $(BENCHES)

$(LIB): $(call obj,$(LIB_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/eventsync-dispatcher: $(call obj,$(DISPATCHER_SRC)) $(LIB)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(DISPATCHER_LIBS) $(LIB_LIBS)

$(BUILD)/eventsyncctl: $(call obj,$(CTL_SRC)) $(LIB)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(CTL_LIBS) $(LIB_LIBS)

$(BUILD)/unit/%: $(BUILD)/t/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

# These are preloaded after the sanitizers and therefore built without them.
$(PRELOAD): $(BUILD)/%.so: t/preload/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -fPIC -shared $(OPT) $(WARN) -o $@ $<

$(BUILD)/fuzz/%: $(BUILD)/t/fuzz/%.o $(BUILD)/t/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(BUILD)/helper/%: $(BUILD)/t/helper/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(BUILD)/bench/%: $(BUILD)/bench_obj/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) -lcurl -lev

$(BUILD)/bench_obj/%.o: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

module: $(LIB)
	BUILD=$(abspath $(BUILD)) SANITIZE="$(SANITIZE)" \
	    NGINX_SRC="$(NGINX_SRC)" sh ngx_module/build.sh

deps:
	sh ./install-deps.sh

demo: deps
	$(MAKE) $(PARALLEL) tools module
	BUILD=$(abspath $(BUILD)) perl t/demo.pl

test-deps:
	sh ./install-deps.sh prometheus guides

test: test-deps
	$(MAKE) $(PARALLEL) all verifier readers linters receivers browser \
	    otlp-proto contract client
	$(MAKE) check

check:
	BUILD=$(abspath $(BUILD)) sh t/check.sh $(JOBS) $(TESTS)

check-long:
	ES_CRASH_ROUNDS=200 ES_FUZZ_ROUNDS=100000 $(MAKE) check

check-debian:
	sh t/debian.sh $(DEBIAN)

package check-package:
	sh t/debian.sh $@ $(DEBIAN)

# nginx is built with the sanitizers as well, from unpatched sources, so that
# they cover the whole process from its start.
check-asan: asan-nginx
	$(MAKE) $(PARALLEL) $(ASAN) all verifier readers linters receivers browser \
	    otlp-proto contract client
	$(MAKE) $(ASAN) check

asan-nginx: deps
	sh t/nginx-source.sh $(abspath $(ASAN_BUILD))/nginx-plain

# Fuzzes each target for FUZZ_TIME seconds from its corpus.  An input that finds
# a fault is left in $(FUZZ_BUILD), a request in $(ASAN_BUILD); copy it to
# t/fuzz/corpus/ after the repair.
fuzz: fuzz-parsers fuzz-requests

fuzz-requests: asan-nginx
	$(MAKE) $(PARALLEL) $(ASAN) tools module
	ES_FUZZ_SEED=$${ES_FUZZ_SEED:-$$(date +%s)} ES_FUZZ_TIME=$(FUZZ_TIME) \
	    $(MAKE) $(ASAN) check TESTS="-v t/module/fuzz_requests.t"

fuzz-parsers: fuzz-deps
	$(MAKE) $(PARALLEL) $(FUZZERS)
	set -e; for target in $(FUZZERS); do \
	    name=$$(basename $$target); mkdir -p $$target.corpus; \
	    echo "== $$name"; \
	    $$target -max_total_time=$(FUZZ_TIME) -max_len=8192 -timeout=10 \
	        -print_final_stats=1 -verbosity=0 \
	        -artifact_prefix=$(FUZZ_BUILD)/$$name- \
	        $$target.corpus t/fuzz/corpus/$$name; \
	done

fuzz-deps:
	sh ./install-deps.sh fuzz

$(FUZZERS): $(FUZZ_BUILD)/%: $(FUZZ_BUILD)/t/fuzz/%.o $(FUZZ_LIB)
	clang -fsanitize=fuzzer,$(FUZZ_SANITIZE) -o $@ $^ $(LIB_LIBS)

$(FUZZ_BUILD)/%.o: %.c
	@mkdir -p $(@D)
	clang -std=gnu11 -D_GNU_SOURCE -O1 -g -Ishared -Ishared/include -MMD -MP \
	    -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) \
	    -fno-sanitize-recover=undefined -c -o $@ $<

-include $(shell find $(FUZZ_BUILD) -name '*.d' 2>/dev/null)

bench-deps:
	sh ./install-deps.sh bench
	$(MAKE) $(PARALLEL) tools module bench

# Independent verifiers of our signatures, and an issuer, from npm.  Where npm's registry
# cannot be reached, their tests are skipped.
verifier: $(BUILD)/node_modules/svix/package.json

$(BUILD)/node_modules/svix/package.json:
	@mkdir -p $(BUILD)
	-timeout 120 npm install --prefix $(BUILD) --no-save --no-audit \
	    --no-fund $(VERIFIERS)

# Where PyPI cannot be reached, or pip is not there, tests read spans as JSON.
otlp-proto: $(BUILD)/otlp-proto/opentelemetry

$(BUILD)/otlp-proto/opentelemetry:
	@mkdir -p $(BUILD)
	-timeout 120 python3 -m pip install -q --disable-pip-version-check \
	    --no-compile --target $(BUILD)/otlp-proto $(OTLP_PROTO)

# Where PyPI cannot be reached, or pip is not there, its test is skipped.
contract: $(BUILD)/contract/bin/schemathesis

$(BUILD)/contract/bin/schemathesis:
	@mkdir -p $(BUILD)
	-timeout 120 python3 -m pip install -q --disable-pip-version-check \
	    --no-compile --target $(BUILD)/contract -c t/python/constraints.txt \
	    $(CONTRACT)

# The long form of t/docs/contract.t.
check-contract: all contract
	ES_CONTRACT_EXAMPLES=$(CONTRACT_EXAMPLES) \
	    $(MAKE) check TESTS="-v t/docs/contract.t"

# An OpenTelemetry collector for t/docs/collector.t.  The first build takes two
# minutes of processor time and half a gigabyte of Go modules.
otel-collector: $(BUILD)/otel-collector/collector

$(BUILD)/otel-collector/collector: t/collector/main.go t/collector/go.mod
	@mkdir -p $(BUILD)/otel-collector/src
	cp $^ $(BUILD)/otel-collector/src
	cd $(BUILD)/otel-collector/src \
	    && GOFLAGS="-mod=mod -buildvcs=false -modcacherw" go build \
	        -ldflags="-s -w" -o ../collector .

readers: $(BUILD)/readers/node_modules/eventsource/package.json

$(BUILD)/readers/node_modules/eventsource/package.json:
	@mkdir -p $(BUILD)/readers
	-timeout 120 npm install --prefix $(BUILD)/readers --no-save --no-audit \
	    --no-fund $(READERS)

linters: $(BUILD)/linters/node_modules/@stoplight/spectral-cli/package.json

$(BUILD)/linters/node_modules/@stoplight/spectral-cli/package.json:
	@mkdir -p $(BUILD)/linters
	-timeout 120 npm install --prefix $(BUILD)/linters --no-save --no-audit \
	    --no-fund --ignore-scripts $(LINTERS)

client: $(BUILD)/client/node_modules/openapi-fetch/package.json

$(BUILD)/client/node_modules/openapi-fetch/package.json:
	@mkdir -p $(BUILD)/client
	-timeout 120 npm install --prefix $(BUILD)/client --no-save --no-audit \
	    --no-fund --ignore-scripts $(CLIENT)

browser: $(BUILD)/browser/node_modules/axe-core/package.json

$(BUILD)/browser/node_modules/axe-core/package.json:
	@mkdir -p $(BUILD)/browser
	-timeout 120 npm install --prefix $(BUILD)/browser --no-save --no-audit \
	    --no-fund --ignore-scripts $(BROWSER)

receivers: $(BUILD)/receivers/node_modules/fastify/package.json

$(BUILD)/receivers/node_modules/fastify/package.json:
	@mkdir -p $(BUILD)/receivers
	-timeout 120 npm install --prefix $(BUILD)/receivers --no-save --no-audit \
	    --no-fund --ignore-scripts $(RECEIVERS)

lint: module
	sh ./install-deps.sh lint
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	    --enable=warning,performance,portability \
	    --suppressions-list=.cppcheck -Ishared -Ishared/include $(LINT_SRC) $(MODULE_SRC)
	clang-tidy --quiet --warnings-as-errors='*' $(LINT_SRC) -- $(LINT_FLAGS)
	clang-tidy --quiet --warnings-as-errors='*' $(MODULE_SRC) -- \
	    $(LINT_FLAGS) $(addprefix -isystem $(BUILD)/nginx-src/,src/core \
	    src/event src/event/modules src/os/unix src/http src/http/modules \
	    src/http/v2 objs)

# The pages of docs/ are their source.
man:
	@mkdir -p $(BUILD)/man
	set -e; for page in $$(perl docs/man.pl --list); do \
	    perl docs/man.pl $$page $(VERSION) > $(BUILD)/man/$$page.new; \
	    mv $(BUILD)/man/$$page.new $(BUILD)/man/$$page; \
	done

# The scripts ask eventsyncctl, which has the table of commands.
completion:
	@mkdir -p $(addprefix $(BUILD)/completion/,bash zsh fish)
	cp ctl/completion/eventsyncctl.bash \
	    $(BUILD)/completion/bash/eventsyncctl
	cp ctl/completion/_eventsyncctl $(BUILD)/completion/zsh/
	cp ctl/completion/eventsyncctl.fish $(BUILD)/completion/fish/
	cp dispatcher/completion/eventsync-dispatcher.bash \
	    $(BUILD)/completion/bash/eventsync-dispatcher
	cp dispatcher/completion/_eventsync-dispatcher $(BUILD)/completion/zsh/
	cp dispatcher/completion/eventsync-dispatcher.fish \
	    $(BUILD)/completion/fish/

install: tools module man completion
	install -d $(BINDIR) $(SBINDIR) $(LIBDIR)/pkgconfig $(MODDIR) $(INCDIR)
	set -e; for page in $$(perl docs/man.pl --list); do \
	    install -D -m 644 $(BUILD)/man/$$page \
	        $(SHAREDIR)/man/man$${page##*.}/$$page; \
	done
	install -D -m 644 -t $(SHAREDIR)/bash-completion/completions \
	    $(BUILD)/completion/bash/*
	install -D -m 644 -t $(SHAREDIR)/zsh/vendor-completions \
	    $(BUILD)/completion/zsh/*
	install -D -m 644 -t $(SHAREDIR)/fish/vendor_completions.d \
	    $(BUILD)/completion/fish/*
	install -m 755 $(BUILD)/eventsyncctl $(BINDIR)/
	install -m 755 $(BUILD)/eventsync-dispatcher $(SBINDIR)/
	install -m 644 $(BUILD)/ngx_http_eventsync_module.so $(MODDIR)/
	install -m 644 $(LIB) $(LIBDIR)/
	install -m 644 shared/include/eventsync.h $(INCDIR)/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBSUBDIR@|$(LIBSUBDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' shared/eventsync.pc.in \
	    > $(LIBDIR)/pkgconfig/eventsync.pc

clean:
	rm -rf $(BUILD) build-debian
