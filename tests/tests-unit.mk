# SPDX-License-Identifier: BSD-2-Clause
# Unit, golden and fuzz tests of the pipeline and the command line. Included by tests.mk. They need
# neither root nor libbpf: what is linked here attaches nothing. All with sanitizers.

.PHONY: unit unit-docs golden golden-update golden-binary golden-metrics

SAN_O      := $(O)/san
SAN_CFLAGS := -std=gnu11 $(WARN) -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) \
	-fno-sanitize-recover=undefined

# The pipeline, from the recording to the sinks, and the command line.
PURE_SRC := $(addprefix user/,assemble.c block_store.c cmd_replay.c decode.c draining.c escape.c \
	filter.c histogram.c key_table.c log.c loop.c nearest.c options.c output.c path_group.c \
	pipeline.c queue_time.c recording.c source_file.c utf8.c worker_table.c sinks/json.c \
	sinks/summary.c sinks/text.c sinks/totals.c sinks/words.c)
# What adds requests up, and the page that shows it.
PURE_SRC += $(addprefix user/,aggregate.c capacity.c exposition.c exposition_choose.c \
	exposition_self.c labels.c metric_writer.c path_shape.c recent.c series.c settings.c \
	settings_parse.c text_buffer.c)
# What the daemon has beside them.
PURE_SRC += $(addprefix user/,address.c encode.c pid_table.c recorder.c request_threads.c \
	sinks/statsd.c)
# What makes requests of connections' bytes, and how servers make paths of targets.
PURE_SRC += user/show_options.c user/top_frame.c user/wire.c user/wire_answer.c user/wire_read.c \
	user/wire_relay.c 	$(wildcard user/wire/*.c) $(wildcard user/servers/*.c)
# The same, of profiles.
PURE_SRC += $(addprefix user/,code_table.c decode_stack.c profile.c profile_files.c \
	profile_format.c profile_output.c profile_run.c profile_sums.c profile_words.c profiler.c \
	profiler_counts.c stack_frames.c stack_queue.c stack_store.c sinks/folded.c \
	sinks/hottest.c sinks/pprof.c sinks/pstats.c sinks/speedscope.c sinks/svg.c \
	sinks/svg_colours.c sinks/svg_frames.c)
PURE_MADE := $(O)/sinks/profile.pb-c.c
PURE_OBJ := $(PURE_SRC:%.c=$(SAN_O)/%.o) $(SAN_O)/sinks/profile.pb-c.o
PURE_LIBS := -ljansson -lprotobuf-c -lz -lm

UNIT_TESTS := assemble assemble_names assemble_states block_store decode draining escape filter \
	histogram log loop nearest options output path_group pipeline queue_time recording sinks \
	summary worker_table
UNIT_TESTS += aggregate capacity exposition key_table labels no_memory path_shape settings \
	text_buffer
UNIT_TESTS += address recorder statsd wire wire_odd wire_relay
UNIT_TESTS += code_table decode_stack profile profile_files profiler stack_store
UNIT_BIN   := $(UNIT_TESTS:%=$(SAN_O)/tests/unit/test_%)

$(SAN_O)/%.o: %.c
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -Itests/golden $(SAN_CFLAGS) -MMD -MP -c $< -o $@

$(SAN_O)/user/sinks/svg.o: $(SVG_TEXT)
$(SAN_O)/user/sinks/pprof.o: $(PURE_MADE)

$(SAN_O)/sinks/%.o: $(O)/sinks/%.c
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(SAN_CFLAGS) -c $< -o $@

$(UNIT_BIN): $(SAN_O)/tests/unit/test_%: $(SAN_O)/tests/unit/test_%.o \
		$(SAN_O)/tests/golden/record_make.o $(SAN_O)/tests/golden/sample_make.o \
		$(PURE_OBJ)
	$(call say,LINK-SAN,$@)
	$(Q)$(CC) $(SAN_CFLAGS) $^ $(UNIT_LDFLAGS) -lcmocka $(PURE_LIBS) -o $@

# This one decides which allocation fails.
$(SAN_O)/tests/unit/test_no_memory: \
	UNIT_LDFLAGS := -Wl,--wrap=calloc -Wl,--wrap=malloc -Wl,--wrap=realloc

unit: $(UNIT_BIN) unit-docs ## unit tests (no root)
	$(Q)set -e; for test in $(UNIT_BIN); do \
		$$test >$$test.log 2>&1 || { cat $$test.log >&2; exit 1; }; \
		grep '^skipped:' $$test.log || :; \
	done; echo 'unit: $(words $(UNIT_BIN)) programs passed'

# --help, the man page and the completion say the same.
unit-docs: $(O)/wsgiscope
	$(Q)tests/unit/check_docs.py $< man/wsgiscope.8 contrib/wsgiscope.bash-completion

# --- golden: recording -> expected text and JSON ------------------------------------------------

GOLDEN_O := $(SAN_O)/tests/golden

GOLDEN_MAKERS := $(GOLDEN_O)/make_recording $(GOLDEN_O)/make_stacks $(GOLDEN_O)/make_wire

$(GOLDEN_MAKERS): %: %.o $(GOLDEN_O)/record_make.o $(GOLDEN_O)/sample_make.o \
		$(GOLDEN_O)/recordings.o $(SAN_O)/user/recording.o
	$(call say,LINK-SAN,$@)
	$(Q)$(CC) $(SAN_CFLAGS) $^ -o $@

$(GOLDEN_O)/replay: $(GOLDEN_O)/replay_main.o $(SAN_O)/user/cmd_flame.o $(PURE_OBJ)
	$(call say,LINK-SAN,$@)
	$(Q)$(CC) $(SAN_CFLAGS) $^ $(PURE_LIBS) -o $@

$(GOLDEN_O)/recordings/.made: $(GOLDEN_MAKERS)
	@rm -rf $(@D) && mkdir -p $(@D)
	$(Q)set -e; for maker in $^; do $$maker $(@D); done
	@touch $@

golden: golden-binary ## recordings against what they must show (no root)
golden: $(GOLDEN_O)/replay $(GOLDEN_O)/recordings/.made
	$(Q)tests/golden/run.sh $(GOLDEN_O)/recordings $(GOLDEN_O)/replay replay
	$(Q)$(PYTHON) tests/golden/profiles.py $(GOLDEN_O)/recordings $(GOLDEN_O)/replay

golden-binary: $(O)/wsgiscope $(GOLDEN_O)/recordings/.made
	$(Q)tests/golden/run.sh $(GOLDEN_O)/recordings $(O)/wsgiscope replay
	$(Q)$(PYTHON) tests/golden/profiles.py $(GOLDEN_O)/recordings $(O)/wsgiscope

golden-update: $(GOLDEN_O)/replay $(GOLDEN_O)/recordings/.made ## what they show now becomes it
golden-update: $(GOLDEN_O)/metrics
	$(Q)UPDATE=1 tests/golden/run.sh $(GOLDEN_O)/recordings $(GOLDEN_O)/replay replay
	$(Q)UPDATE=1 tests/golden/run_metrics.sh $(GOLDEN_O)/recordings $(GOLDEN_O)/metrics
	$(Q)UPDATE=1 $(PYTHON) tests/golden/profiles.py $(GOLDEN_O)/recordings $(GOLDEN_O)/replay

# Recordings as the pages that Prometheus would get, and what Prometheus' own readers say of them.

$(GOLDEN_O)/metrics: $(GOLDEN_O)/metrics_main.o $(PURE_OBJ)
	$(call say,LINK-SAN,$@)
	$(Q)$(CC) $(SAN_CFLAGS) $^ $(PURE_LIBS) -o $@

golden: golden-metrics
golden-metrics: $(GOLDEN_O)/metrics $(GOLDEN_O)/recordings/.made
	$(Q)tests/golden/run_metrics.sh $(GOLDEN_O)/recordings $(GOLDEN_O)/metrics

# --- fuzz: libFuzzer is clang's -----------------------------------------------------------------

FUZZ_O       := $(O)/fuzz
FUZZ_CFLAGS  := -std=gnu11 $(WARN) -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_PIPELINE := fuzz_decode fuzz_patterns fuzz_recording fuzz_settings fuzz_turns

$(FUZZ_PIPELINE:%=$(FUZZ_O)/%): $(FUZZ_O)/%: tests/fuzz/%.c $(PURE_SRC) $(PURE_MADE) $(SVG_TEXT) \
		$(wildcard user/*.h user/sinks/*.h bpf/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(FUZZ_CFLAGS) $< $(PURE_SRC) $(PURE_MADE) $(PURE_LIBS) -o $@

# Whole recordings, single records, and a settings file with requests are the seeds.
$(FUZZ_O)/corpus/.made: $(GOLDEN_O)/recordings/.made tests/fuzz/seeds.py tests/golden/metrics.conf
	@mkdir -p $(FUZZ_PIPELINE:%=$(@D)/%)
	$(Q)$(PYTHON) tests/fuzz/seeds.py $(<D) $(@D) tests/golden/metrics.conf
	@touch $@

FUZZERS    += $(foreach name,$(FUZZ_PIPELINE),$(FUZZ_O)/$(name):$(FUZZ_O)/corpus/$(name):8192)
FUZZ_SEEDS += $(FUZZ_O)/corpus/.made

-include $(PURE_OBJ:.o=.d) $(UNIT_BIN:%=%.d) $(wildcard $(GOLDEN_O)/*.d)
