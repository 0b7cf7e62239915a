/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a client takes gzip, and that what is packed unpacks to the same.
 */
#include <stdlib.h>
#include <zlib.h>

#include "gzip.h"
#include "unit.h"

static void test_accepted(void **state)
{
	static const char *const yes[] = {
		"gzip",
		"GZip",
		"deflate, gzip;q=0.5",
		"x-gzip",
		"*",
		"gzip;q=0.001",
		" gzip",
		"*;q=1, gzip;q=1",
		"gzip ; q=1.0",
		",,gzip,",
		"br;q=1.0, *;q=0.1",
	};
	static const char *const no[] = {
		"",	   "identity", "gzip;q=0",  "gzip; q=0.000", "deflate,br",
		"gzipped", "notgzip",  "*;q=0",	    "gzip;q=0, *",   "*, gzip;Q=0.0",
		";gzip",   "g zip",    "br;q=gzip", ";q=0",	     ",",
	};

	assert_false(gzip_is_accepted(NULL));
	for (size_t i = 0; i < COUNT_OF(yes); i++)
		assert_true(gzip_is_accepted(yes[i]));
	for (size_t i = 0; i < COUNT_OF(no); i++)
		assert_false(gzip_is_accepted(no[i]));
}

static void check_packed(const char *text, size_t bytes)
{
	char *packed, *back = malloc(bytes + 1);
	z_stream stream = {.avail_out = (uInt)bytes + 1, .next_out = (Bytef *)back};
	size_t packed_bytes;

	assert_int_equal(gzip_pack(text, bytes, &packed, &packed_bytes), 0);
	stream.next_in = (Bytef *)packed;
	stream.avail_in = (uInt)packed_bytes;
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, bytes);
	assert_memory_equal(back, text, bytes);
	inflateEnd(&stream);
	free(packed);
	free(back);
}

static void test_packed(void **state)
{
	char *text = malloc(1000000);
	uint32_t noise = 1;

	for (size_t i = 0; i < 1000000; i++)
		text[i] = "wsgi_requests_total{app=\"shop\"} 17\n"[i % 36];
	check_packed("", 0);
	check_packed("x", 1);
	check_packed(text, 1000000);
	for (size_t i = 0; i < 1000000; i++) /* what cannot be made smaller has room, too */
		text[i] = (char)((noise = noise * 1664525 + 1013904223) >> 24);
	check_packed(text, 1000000);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
