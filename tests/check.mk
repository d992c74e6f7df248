# SPDX-License-Identifier: GPL-3.0-or-later
#
# Tests and lint. Each target stands alone; "check" runs them all and adds up what they counted.

# What a sanitizer finds ends the program with a code of its own, so that no test takes it for an answer.
export ASAN_OPTIONS := exitcode=99:strict_string_checks=1
export LSAN_OPTIONS := print_suppressions=0
export UBSAN_OPTIONS := print_stacktrace=1
export TSAN_OPTIONS := exitcode=99:second_deadlock_stack=1:suppressions=$(CURDIR)/tests/lib/tsan.supp

SANITIZED_ASAN := BUILD=$(BUILD)/asan SANITIZE=address,undefined
SANITIZED_TSAN := BUILD=$(BUILD)/tsan SANITIZE=thread

.PHONY: check
check: ## everything: lint, docs, unit and end-to-end tests, then again under the sanitizers
	+tests/tools/check lint check-docs check-unit check-e2e check-torture check-histories check-asan check-tsan

.PHONY: check-unit
check-unit: $(UNIT_PROGRAMS) $(REPLAY_PROGRAMS) ## unit tests, seconds; a PostgreSQL is started for those of its sink
	tests/run_unit.py $(UNIT_PROGRAMS) $(REPLAY_PROGRAMS)

.PHONY: check-docs
check-docs: all $(BUILD)/tests/docs/tload-docs ## manual pages, completions and help agree with the table of commands
	mandoc -T lint -W warning $(wildcard man/*.[1578])
	tests/run.py tests/docs

.PHONY: check-e2e
check-e2e: all $(BENCH_PROGRAMS) ## end-to-end tests, on a real Kafka
	tests/run.py -j 5 tests/e2e

# The unit tests, and those end-to-end modules that say SANITIZERS = {...} fits them.
.PHONY: check-asan
check-asan: ## unit and end-to-end tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) $(SANITIZED_ASAN) all check-unit
	$(SANITIZED_ASAN) tests/run.py -j 4 --sanitizer asan tests/e2e

.PHONY: check-tsan
check-tsan: ## unit and end-to-end tests under ThreadSanitizer
	$(MAKE) $(SANITIZED_TSAN) all check-unit
	$(SANITIZED_TSAN) tests/run.py -j 4 --sanitizer tsan tests/e2e

# --- torture --------------------------------------------------------------------------------------------------

# For LD_PRELOAD, with nothing of ours in it.
$(IOFAULT): $(BUILD)/%.so: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARNINGS) -fPIC -shared -o $@ $< -ldl

# SEED: of the first run. MINUTES: runs with one seed after the other for so long; without it, one run.
.PHONY: torture
torture: all $(IOFAULT) ## uploads while everything is killed, stopped and cut, and an oracle: SEED=, MINUTES=
	tests/torture/torture.py $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: torture-selftest
torture-selftest: ## break the product on purpose, in copies, and see that the torture tells
	tests/torture/selftest.py

.PHONY: check-torture
check-torture: all $(IOFAULT) ## a short run of it, always the same seeds
	tests/torture/torture.py --seed 1 --minutes 1.2

# HISTORIES: how many (300). SINK: sqlite or postgresql. KILLS=1: coordinatord is ended time and again.
.PHONY: histories
histories: all ## random changes of schemas while uploads run, and an oracle: HISTORIES=, SEED=, SINK=, KILLS=1
	tests/torture/histories.py $(if $(HISTORIES),--histories $(HISTORIES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(SINK),--sink $(SINK)) $(if $(KILLS),--kills)

.PHONY: check-histories
check-histories: all ## a short run of it, always the same seeds
	tests/torture/histories.py --histories 50 --seed 1 --discard
	tests/torture/histories.py --histories 25 --seed 101 --discard --sink postgresql

.PHONY: histories-selftest
histories-selftest: ## break the product on purpose, in copies, and see that the histories tell
	tests/torture/selftest_histories.py

# --- lint -----------------------------------------------------------------------------------------------------

SHELL_SCRIPTS = $(shell grep -rlIE '^\#!/bin/(ba)?sh' .ci tests examples 2>/dev/null | sort)

.PHONY: lint lint-format lint-rules lint-shell lint-headers
lint: lint-format lint-rules lint-shell lint-headers ## layout, layers, sizes, banned functions, headers, shell scripts

lint-format:
	clang-format --dry-run -Werror $(C_FILES) $(HEADERS)

lint-rules:
	tests/lint/lint.py
	tests/run.py tests/lint

lint-shell:
	shellcheck -x $(SHELL_SCRIPTS)

lint-headers: $(HEADERS:%=$(BUILD)/headers/%.ok)

# A header must compile alone. An include guard is what makes it fit to be the main file.
$(BUILD)/headers/%.ok: % $(BUILD)/flags
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -fsyntax-only -MMD -MP -MT $@ -MF $(@:.ok=.d) -x c $<
	@touch $@

-include $(HEADERS:%=$(BUILD)/headers/%.d)

# --- fuzzing: a target that is there once there is something to run ----------------------------------------------

FUZZ_SECONDS ?= 60
FUZZ_PROGRAMS := $(FUZZ:tests/fuzz/%.c=$(BUILD)/%)

ifneq ($(FUZZ),)
.PHONY: fuzz fuzz-run
fuzz: ## each fuzz target for FUZZ_SECONDS (60), by libFuzzer; a crasher goes to tests/fuzz/regression
	$(MAKE) BUILD=$(BUILD)/fuzz SANITIZE=address,undefined CC=clang WARNINGS= \
		EXTRA_CFLAGS=-fsanitize=fuzzer-no-link fuzz-run

fuzz-run: $(FUZZ_PROGRAMS)
	set -e; $(foreach f,$(FUZZ:tests/fuzz/%.c=%), \
		mkdir -p $(BUILD)/corpus/$f tests/fuzz/regression/$f; \
		$(BUILD)/$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=tests/fuzz/regression/$f/ \
			$(BUILD)/corpus/$f tests/fuzz/regression/$f;)

$(FUZZ_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/tests/fuzz/%.o $(call objects,$(UNIT_SUPPORT)) \
		$(LIBCLI) $(LIBCOORDINATORD) $(LIBTLOAD)
	$(call say,LINK)$(CC) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)
endif

# --- benchmarks -----------------------------------------------------------------------------------------------

# ROUNDS (3), ROWS (1000000), ONLY=group,... as "tests/bench/bench.py --list" has them. BENCH_FULL=1: also what takes
# long. BENCH_PEERS=1: also Kafka Connect.
RUN_BENCH = tests/bench/bench.py $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--rows $(ROWS)) $(if $(ONLY),--only $(ONLY)) \
	$(if $(BENCH_FULL),--full) $(if $(BENCH_PEERS),--peers)

.PHONY: bench
bench: all $(BENCH_PROGRAMS) ## how fast it is, beside psql, sqlite3, pgloader and kcat: ROUNDS=, ROWS=, ONLY=, BENCH_FULL=1
	$(RUN_BENCH)

.PHONY: bench-peers
bench-peers: ## the same, and Kafka Connect
	$(MAKE) bench BENCH_PEERS=1

.PHONY: bench-results
bench-results: all $(BENCH_PROGRAMS) ## the same as bench, and tests/bench/RESULTS.md from it; BENCH_PEERS=1
	$(RUN_BENCH) --results
