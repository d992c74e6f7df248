# SPDX-License-Identifier: GPL-3.0-or-later
#
# make            build/tload and build/coordinatord
# make help       all targets
#
# Sources are found by name: a new .c file below shared/, cli/ or coordinatord/ needs no line here. BUILD names the
# directory for all that is made; SANITIZE, what -fsanitize= gets.

VERSION := 0.1.0

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC := gcc
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

export BUILD

# --- flags ----------------------------------------------------------------------------------------------------

LIBRARIES := rdkafka libmicrohttpd jansson sqlite3 inih libcurl readline libsystemd libxxhash libpq libcrypto
TEST_LIBRARIES := cmocka

# Without the feature macros that readline asks for: _GNU_SOURCE covers them.
PKG_CFLAGS := $(filter-out -D%,$(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wwrite-strings -Wundef
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection
ifdef SANITIZE
OPTIMIZE := -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
else
OPTIMIZE := -O2 -D_FORTIFY_SOURCE=3
endif

CPPFLAGS := -D_GNU_SOURCE -I. -DTLOAD_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(EXTRA_CPPFLAGS)
CFLAGS := -std=gnu17 -g $(OPTIMIZE) $(WARNINGS) -fno-common -fPIE -pthread $(HARDENING) $(EXTRA_CFLAGS)
LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(EXTRA_LDFLAGS)
LDLIBS := $(PKG_LIBS) -lm

# --- sources --------------------------------------------------------------------------------------------------

sources = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

SHARED := $(call sources,shared)
CLI := $(call sources,cli)
COORDINATORD := $(call sources,coordinatord)
UNIT := $(wildcard tests/unit/test_*.c)
UNIT_SUPPORT := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
FUZZ := $(wildcard tests/fuzz/fuzz_*.c)
BENCH := $(wildcard tests/bench/bench_*.c)
DOCS := tests/docs/tload-docs.c
IOFAULT := $(BUILD)/tests/torture/iofault.so
HEADERS := $(sort $(shell find shared cli coordinatord tests -name '*.h' 2>/dev/null))

LIBTLOAD := $(BUILD)/libtload.a
LIBCLI := $(BUILD)/libcli.a
LIBCOORDINATORD := $(BUILD)/libcoordinatord.a
# What only ThreadSanitizer's programs are linked with.
TSAN := $(if $(filter thread,$(SANITIZE)),$(call objects,tests/tsan/c11_threads.c))
UNIT_PROGRAMS := $(UNIT:%.c=$(BUILD)/%)
REPLAY_PROGRAMS := $(FUZZ:%.c=$(BUILD)/%)
BENCH_PROGRAMS := $(BENCH:%.c=$(BUILD)/%)
C_FILES := $(SHARED) $(CLI) $(COORDINATORD) $(UNIT) $(UNIT_SUPPORT) $(FUZZ) tests/tsan/c11_threads.c tests/fuzz/replay.c $(BENCH) \
	$(DOCS) $(IOFAULT:$(BUILD)/%.so=%.c)

# say WORD: one line a file; V=1 shows whole commands.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

# --- building -------------------------------------------------------------------------------------------------

.PHONY: all
all: $(BUILD)/tload $(BUILD)/coordinatord ## build both programs

$(BUILD)/tload: $(BUILD)/obj/cli/main.o $(TSAN) $(LIBCLI) $(LIBTLOAD)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/coordinatord: $(BUILD)/obj/coordinatord/main.o $(TSAN) $(LIBCOORDINATORD) $(LIBTLOAD)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIBTLOAD): $(call objects,$(SHARED))
$(LIBCLI): $(call objects,$(filter-out cli/main.c,$(CLI)))
$(LIBCOORDINATORD): $(call objects,$(filter-out coordinatord/main.c,$(COORDINATORD)))

# A library is made anew when a source file goes away, too: its list of members is a prerequisite.
$(BUILD)/%.a: $(BUILD)/%.members
	$(call say,AR)rm -f $@ && ar rcs $@ $(filter %.o,$^)

# write_if_changed VALUE: touches the target only when it says something new.
write_if_changed = @mkdir -p $(@D); echo '$(subst ','\'',$(1))' | cmp -s - $@ || echo '$(subst ','\'',$(1))' >$@

$(BUILD)/libtload.members: FORCE
	$(call write_if_changed,$(SHARED))
$(BUILD)/libcli.members: FORCE
	$(call write_if_changed,$(CLI))
$(BUILD)/libcoordinatord.members: FORCE
	$(call write_if_changed,$(COORDINATORD))

# Everything is compiled anew when a flag changes.
$(BUILD)/flags: FORCE
	@pkg-config --exists --print-errors $(LIBRARIES) || { echo 'run "make deps" first' >&2; exit 1; }
	$(call write_if_changed,$(CC) $(CPPFLAGS) $(CFLAGS))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A program of the tests: its own object, what the line below adds, all three libraries.
$(UNIT_PROGRAMS) $(REPLAY_PROGRAMS) $(BENCH_PROGRAMS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o \
		$(call objects,$(UNIT_SUPPORT)) $(TSAN) $(LIBCLI) $(LIBCOORDINATORD) $(LIBTLOAD)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell pkg-config --libs $(TEST_LIBRARIES)) -lcsv

$(REPLAY_PROGRAMS): $(BUILD)/obj/tests/fuzz/replay.o

$(DOCS:%.c=$(BUILD)/%): $(DOCS:%.c=$(BUILD)/obj/%.o) $(LIBCLI) $(LIBTLOAD)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(patsubst %.o,%.d,$(call objects,$(C_FILES)))

.PHONY: FORCE
FORCE:

# --- tests ----------------------------------------------------------------------------------------------------

include tests/check.mk

# --- the rest -------------------------------------------------------------------------------------------------

.PHONY: deps
deps: ## install what building and testing needs: Debian packages, Kafka's jars
	tests/tools/deps

.PHONY: run
run: all ## Kafka and coordinatord in ./.tload, until ctrl-C
	tests/tools/run

.PHONY: demo
demo: ## see it work: a table, a file of 200,000 rows, 1 % of them bad
	tests/tools/deps demo
	$(MAKE) all
	examples/demo/demo

.PHONY: docs
docs: $(BUILD)/tests/docs/tload-docs ## write anew what comes from the table of commands: completions, options in tload.1
	$< bash >completions/tload.bash
	$< zsh >completions/_tload
	$< fish >completions/tload.fish
	$< man <man/tload.1 >$(BUILD)/tload.1 && cp $(BUILD)/tload.1 man/tload.1

.PHONY: format
format: ## lay out all C files
	clang-format -i $(C_FILES) $(HEADERS)

share := $(DESTDIR)$(PREFIX)/share
# Each installed file, as SOURCE:TARGET:MODE.
INSTALLED := $(BUILD)/tload:$(DESTDIR)$(PREFIX)/bin/tload:755 \
	$(BUILD)/coordinatord:$(DESTDIR)$(PREFIX)/sbin/coordinatord:755 \
	$(foreach n,1 5 7 8,$(foreach f,$(wildcard man/*.$n),$f:$(share)/man/man$n/$(notdir $f):644)) \
	completions/tload.bash:$(share)/bash-completion/completions/tload:644 \
	completions/_tload:$(share)/zsh/site-functions/_tload:644 \
	completions/tload.fish:$(share)/fish/vendor_completions.d/tload.fish:644
part = $(word $(1),$(subst :, ,$(2)))

.PHONY: install
install: all ## install under $(DESTDIR)$(PREFIX): programs, manual pages, completions
	@set -e; $(foreach i,$(INSTALLED),install -D -m $(call part,3,$i) $(call part,1,$i) '$(call part,2,$i)';)
	@echo 'installed under $(DESTDIR)$(PREFIX)'

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(foreach i,$(INSTALLED),'$(call part,2,$i)')

.PHONY: clean
clean: ## remove all that was built
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | LC_ALL=C sort | expand -t 16
