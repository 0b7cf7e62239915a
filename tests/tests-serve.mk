# SPDX-License-Identifier: BSD-2-Clause
# Tests of the daemon: HTTP and gzip, which need more libraries than the pipeline, what it reads
# from clients, the rules for Prometheus, and a steady load (root). Included by tests.mk.

.PHONY: unit-serve

HTTP_SRC := $(addprefix user/,http.c http_body.c gzip.c)
HTTP_OBJ := $(HTTP_SRC:%.c=$(O)/san/%.o)
HTTP_BIN := $(O)/san/tests/unit/test_http $(O)/san/tests/unit/test_gzip

$(HTTP_BIN): $(O)/san/tests/unit/test_%: $(O)/san/tests/unit/test_%.o $(HTTP_OBJ) \
		$(addprefix $(O)/san/user/,address.o log.o loop.o text_buffer.o)
	$(call say,LINK-SAN,$@)
	$(Q)$(CC) $(SAN_CFLAGS) $^ -lcmocka -lmicrohttpd -lz -o $@

unit: unit-serve
unit-serve: $(HTTP_BIN)
	$(Q)set -e; for test in $(HTTP_BIN); do \
		$$test >$$test.log 2>&1 || { cat $$test.log >&2; exit 1; }; \
		grep '^skipped:' $$test.log || :; \
	done; echo 'unit-serve: $(words $(HTTP_BIN)) programs passed'

-include $(HTTP_OBJ:.o=.d) $(HTTP_BIN:%=%.d)

# --- fuzz: libFuzzer is clang's -----------------------------------------------------------------

HEADERS_SRC := $(addprefix user/,address.c exposition_choose.c gzip.c log.c)

$(O)/fuzz/fuzz_headers: tests/fuzz/fuzz_headers.c $(HEADERS_SRC) $(wildcard user/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) -std=gnu11 $(WARN) -O1 -g \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		$< $(HEADERS_SRC) -lz -o $@

FUZZERS += $(O)/fuzz/fuzz_headers:$(O)/fuzz/small/fuzz_headers:4096

# --- rules for Prometheus, and their own tests --------------------------------------------------

.PHONY: unit-rules bench-serve

RULES      := contrib/prometheus/wsgiscope.rules.yml
RULES_TEST := tests/prometheus/rules_test.yml

unit: unit-rules
unit-rules:
	@mkdir -p $(O)
	$(Q)if ! command -v promtool >/dev/null; then \
		echo 'unit-rules: SKIPPED: needs promtool (Debian package prometheus)' >&2; \
		[ "$$CI" != true ]; \
	elif { promtool check rules $(RULES) && promtool test rules $(RULES_TEST); } \
		>$(O)/rules.log 2>&1; then echo 'unit-rules: ok'; \
	else cat $(O)/rules.log >&2; exit 1; fi

# --- a steady load ------------------------------------------------------------------------------

bench-serve: ## the daemon under 20,000 requests/s for BENCH_SECONDS (600) (root)
	$(need-root)
	$(Q)contrib/debian-packages.sh bench
	$(Q)+$(MAKE) --no-print-directory all bench-build
	$(Q)$(PYTHON) tests/bench/steady.py $(O)
