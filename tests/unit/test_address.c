/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HOST:PORT, sound and not.
 */
#include <errno.h>

#include "address.h"
#include "log.h"
#include "unit.h"

static void test_sound(void **state)
{
	static const char *const sound[] = {
		"127.0.0.1:9748", "localhost:1", "[::1]:8125", "h:0", "[fe80::1%eth0]:65535",
	};
	static const char *const unsound[] = {
		"",	   "9748",	 ":9748",   "host",	   "host:",    "host:x",
		"host:-1", "host:65536", "host:1x", "host:123456", "::1:9748", "[::1]",
		"[]:1",	   "[::1]9748",	 "host: 1", "[::1:1",	   "[:1",
	};

	for (size_t i = 0; i < COUNT_OF(sound); i++)
		assert_true(address_is_sound(sound[i]));
	for (size_t i = 0; i < COUNT_OF(unsound); i++)
		assert_false(address_is_sound(unsound[i]));
}

/* A host's name that is longer than any is refused, not cut. */
static void test_long(void **state)
{
	char text[2 * ADDRESS_HOST_BYTES];

	memset(text, 'h', sizeof(text));
	memcpy(text + sizeof(text) - 3, ":1", 3);
	assert_false(address_is_sound(text));
}

static void test_resolve(void **state)
{
	static const struct {
		const char *text, *shown;
		bool loopback;
	} cases[] = {
		{"127.0.0.1:9748", "127.0.0.1:9748", true},
		{"127.9.9.9:1", "127.9.9.9:1", true},
		{"0.0.0.0:9748", "0.0.0.0:9748", false},
		{"10.1.2.3:65535", "10.1.2.3:65535", false},
		{"[::1]:9748", "[::1]:9748", true},
		{"[::]:9748", "[::]:9748", false},
		{"[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:5", true},
		{"[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.1]:5", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address address;
		char shown[ADDRESS_SHOWN_BYTES];

		assert_int_equal(address_resolve("--listen", cases[i].text, &address), 0);
		address_show(&address, shown);
		assert_string_equal(shown, cases[i].shown);
		assert_int_equal(address_is_loopback(&address), cases[i].loopback);
	}
}

static void test_not_known(void **state)
{
	struct address address;

	/* RFC 6761: this top-level domain has no names. */
	assert_int_equal(address_resolve("--statsd", "nobody.invalid:1", &address), -EADDRNOTAVAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_not_known),
	};

	log_level_set(LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
