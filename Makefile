# eventsync: library, dispatcher, command line, nginx module.
#
#   make            everything, against the nginx installed with nginx-dev
#   make demo       install what is missing, build, start it all and show it
#   make test       install what is missing, build, run every test
#   make check      run the tests on what is built
#   make check-asan the same under AddressSanitizer and UBSan
#   make lint       clang-tidy and cppcheck
#   make install    DESTDIR and PREFIX as usual

BUILD   ?= build
PREFIX  ?= /usr
SANITIZE ?=

CC      ?= cc
OPT     ?= -O2 -g
CFLAGS  ?=
WARN     = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wwrite-strings
ALLFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=default $(OPT) $(WARN) $(SANITIZE) -Ishared $(CFLAGS)

LIB_LIBS        = -llmdb -lxxhash -ljansson -lcrypto -lpthread
DISPATCHER_LIBS = -lcurl -lev
CTL_LIBS        = -lcurl -lmicrohttpd

LIB_SRC        := $(wildcard shared/*.c)
DISPATCHER_SRC := $(wildcard dispatcher/*.c)
CTL_SRC        := $(wildcard ctl/*.c)
UNIT_SRC       := $(wildcard t/unit/*.c)
BENCH_SRC      := $(wildcard bench/*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIB    = $(BUILD)/libeventsync.a
UNITS  = $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
BENCHES = $(patsubst bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))

.PHONY: all lib tools units bench module demo deps test check check-asan check-long lint install clean

all: tools units module

lib: $(LIB)
tools: $(BUILD)/eventsync-dispatcher $(BUILD)/eventsyncctl
units: $(UNITS)
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
	BUILD=$(abspath $(BUILD)) SANITIZE="$(SANITIZE)" sh ngx_module/build.sh

deps:
	sh ./install-deps.sh

demo: deps
	$(MAKE) tools module
	perl t/demo.pl

test: deps
	$(MAKE) all
	$(MAKE) check

check:
	prove -It/lib t/

clean:
	rm -rf $(BUILD)
