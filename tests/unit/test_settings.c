/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a settings file says; and for each fault the line and column that are named.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "histogram.h"
#include "settings.h"
#include "unit.h"

/* What is written to stderr while a text is parsed; parsed is NULL where it must fail. */
static char *said_of(const char *text, size_t bytes, int *error, struct settings **parsed)
{
	static char said[4096];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t got;

	assert_true(file && saved >= 0);
	fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	*error = settings_parse("f.conf", text, bytes, parsed);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	got = fread(said, 1, sizeof(said) - 1, file);
	said[got] = '\0';
	fclose(file);
	return said;
}

static struct settings *parse(const char *text)
{
	struct settings *settings = NULL;

	assert_int_equal(settings_parse("f.conf", text, strlen(text), &settings), 0);
	assert_non_null(settings);
	return settings;
}

static void test_defaults(void **state)
{
	static const int64_t otel_ms[] = {5,   10,  25,	  50,	75,   100,  250,
					  500, 750, 1000, 2500, 5000, 7500, 10000};
	struct settings *settings = parse("");
	const struct settings_bounds *bounds = settings->bounds;

	assert_int_equal(settings->segment_values, 50);
	assert_int_equal(settings->series_max, 2000);
	assert_int_equal(settings->pattern_count, 0);
	assert_int_equal(bounds[SETTINGS_DURATION].count, COUNT_OF(otel_ms));
	for (size_t i = 0; i < COUNT_OF(otel_ms); i++)
		assert_int_equal(bounds[SETTINGS_DURATION].bound[i], otel_ms[i] * 1000000);
	for (int i = 0; i < SETTINGS_HISTOGRAMS; i++) {
		assert_in_range(bounds[i].count, 1, SETTINGS_BOUNDS_MAX);
		for (size_t k = 0; k < bounds[i].count; k++) {
			assert_true(histogram_is_bound(bounds[i].bound[k]));
			assert_true(!k || bounds[i].bound[k] > bounds[i].bound[k - 1]);
		}
	}
	settings_free(settings);
	settings_free(NULL);
}

static void test_all(void **state)
{
	struct settings *settings = parse("# a comment\n"
					  "\n"
					  "path /issue/{n}   # another\r\n"
					  "\tpath\t/static/{file...}\n"
					  "path /a#b\n"
					  "path /\n"
					  "segment-values 7\n"
					  "series 16\n"
					  "buckets duration .001 0.0099 1 2.5 10.00\n"
					  "buckets body-size 0 100 1200000\n"
					  "buckets queue-time 0.000001");

	assert_int_equal(settings->pattern_count, 4);
	assert_string_equal(settings->patterns[0].text, "/issue/{n}");
	assert_string_equal(settings->patterns[1].text, "/static/{file...}");
	assert_string_equal(settings->patterns[2].text, "/a#b");
	assert_string_equal(settings->patterns[3].text, "/");
	assert_int_equal(settings->segment_values, 7);
	assert_int_equal(settings->series_max, 16);
	assert_int_equal(settings->bounds[SETTINGS_DURATION].count, 5);
	assert_int_equal(settings->bounds[SETTINGS_DURATION].bound[0], 1000000);
	assert_int_equal(settings->bounds[SETTINGS_DURATION].bound[1], 9900000);
	assert_int_equal(settings->bounds[SETTINGS_DURATION].bound[4], 10000000000);
	assert_int_equal(settings->bounds[SETTINGS_BODY_SIZE].bound[2], 1200000);
	assert_int_equal(settings->bounds[SETTINGS_QUEUE_TIME].bound[0], 1000);
	settings_free(settings);
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"sereis 3", "f.conf:1:1: unknown setting 'sereis': did you mean 'series'?"},
		{"\n  gibberish", "f.conf:2:3: unknown setting 'gibberish'; there are path, "},
		{"series", "f.conf:1:7: a number is missing, 16 to 100000"},
		{"series 15", "f.conf:1:8: '15' is no whole number from 16 to 100000"},
		{"series 1e3", "f.conf:1:8: '1e3' is no whole number"},
		{"series 99999999999999999999", "f.conf:1:8: '99999999999999999999' is no"},
		{"series -1", "f.conf:1:8: '-1' is no"},
		{"series 16 17", "f.conf:1:11: '17' is one word too many"},
		{"series 16\nseries 16", "f.conf:2:1: series is given a second time"},
		{"segment-values 0", "f.conf:1:16: '0' is no whole number from 1 to 10000"},
		{"path", "f.conf:1:5: a pattern is missing, like /issue/{n}"},
		{"path issue", "f.conf:1:6: a pattern begins with a slash"},
		{"path /a/{n", "f.conf:1:9: a {name}, of letters"},
		{"path /a/x{n}", "f.conf:1:9: a {name}, of letters"},
		{"path /a/{}", "f.conf:1:9: a {name}, of letters"},
		{"path /a/{n}}", "f.conf:1:9: a {name}, of letters"},
		{"path /a/{...}", "f.conf:1:9: a {name}, of letters"},
		{"path /{a...}/b", "f.conf:1:7: a {name...} can only be the last"},
		{"path /\xff", "f.conf:1:6: the pattern has characters that cannot be shown"},
		{"buckets", "f.conf:1:8: the buckets of duration, output-time"},
		{"buckets speed 1", "f.conf:1:9: the buckets of duration, output-time"},
		{"buckets duration", "f.conf:1:17: the bounds are missing"},
		{"buckets duration x", "f.conf:1:18: 'x' is no number of seconds"},
		{"buckets duration .", "f.conf:1:18: '.' is no number of seconds"},
		{"buckets duration 0", "f.conf:1:18: a bound of less than 0.000001 s"},
		{"buckets duration 1 1", "f.conf:1:20: bounds must rise"},
		{"buckets duration 0.123", "f.conf:1:18: '0.123' has more than two significant"},
		{"buckets duration 0.0000000001", "f.conf:1:18: '0.0000000001' is no number"},
		{"buckets body-size 1.5", "f.conf:1:19: '1.5' is no number"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct settings *parsed = NULL;
		const char *said;
		int error;

		said = said_of(cases[i].text, strlen(cases[i].text), &error, &parsed);
		assert_int_equal(error, -EINVAL);
		assert_null(parsed);
		if (!strstr(said, cases[i].said))
			fail_msg("'%s': said '%s', not '%s'", cases[i].text, said, cases[i].said);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
	}
}

/* NUL bytes are no ends, and the limits of counts hold. */
static void test_bounds(void **state)
{
	struct settings *parsed = NULL;
	char *text = NULL;
	size_t bytes;
	FILE *file;
	int error;

	assert_non_null(strstr(said_of("path /a\0b", 9, &error, &parsed), "f.conf:1:6: "));
	file = open_memstream(&text, &bytes);
	for (int i = 0; i <= SETTINGS_PATTERNS_MAX; i++)
		fprintf(file, "path /%d\n", i);
	fclose(file);
	assert_non_null(strstr(said_of(text, bytes, &error, &parsed), "f.conf:257:6: more than"));
	free(text);
	file = open_memstream(&text, &bytes);
	fprintf(file, "path /%0*d", SETTINGS_PATTERN_BYTES, 0);
	fclose(file);
	assert_non_null(strstr(said_of(text, bytes, &error, &parsed), "f.conf:1:198: the pattern"));
	free(text);
	file = open_memstream(&text, &bytes);
	fprintf(file, "buckets blocks");
	for (int i = 1; i <= SETTINGS_BOUNDS_MAX + 1; i++)
		fprintf(file, " %d", i);
	fclose(file);
	assert_non_null(strstr(said_of(text, bytes, &error, &parsed), "more than 32 bounds"));
	free(text);
	assert_null(parsed);
}

static void test_files(void **state)
{
	struct settings *settings = NULL;
	char path[] = "/tmp/settings-XXXXXX", *big = calloc(1, SETTINGS_BYTES_MAX + 1);
	int fd = mkstemp(path);

	assert_true(fd >= 0 && big);
	assert_int_equal(write(fd, "series 99\n", 10), 10);
	assert_int_equal(settings_read(path, &settings), 0);
	assert_int_equal(settings->series_max, 99);
	settings_free(settings);
	settings = NULL;
	memset(big, '\n', SETTINGS_BYTES_MAX + 1);
	assert_int_equal(pwrite(fd, big, SETTINGS_BYTES_MAX + 1, 0), SETTINGS_BYTES_MAX + 1);
	assert_int_equal(settings_read(path, &settings), -EFBIG);
	assert_int_equal(settings_read("/nowhere/at/all", &settings), -ENOENT);
	assert_int_equal(settings_read("/tmp", &settings), -EISDIR);
	assert_int_equal(settings_read("/dev/zero", &settings), -EINVAL);
	assert_null(settings);
	close(fd);
	unlink(path);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),
		cmocka_unit_test(test_faults),	 cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
