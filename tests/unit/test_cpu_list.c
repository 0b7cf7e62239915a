// LINK: user/cpu_list.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu_list.c: what the kernel writes, what it does not, and this machine.
 */
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "unit.h"

#include "cpu_list.h"

#define CPUS 8

static void list_check(const char *list, const char *expected)
{
	bool in[CPUS];

	memset(in, 1, sizeof(in));
	assert_int_equal(cpu_list_parse(list, in, CPUS), 0);
	for (int cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(in[cpu], expected[cpu] == 'x');
}

static void test_lists(void **state)
{
	list_check("", "........");
	list_check("\n", "........");
	list_check("0\n", "x.......");
	list_check("0-1\n", "xx......");
	list_check("0,2-4,7\n", "x.xxx..x");
	list_check("6-200,1000", "......xx");
}

static void test_no_lists(void **state)
{
	static const char *const lists[] = {"x",   "-1",  "1-",	   ",1", "1,,2",
					    "3-1", "0 1", "0-1-2", "+1", "99999999999999999999"};
	bool in[CPUS];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_int_equal(cpu_list_parse(lists[i], in, CPUS), -EBADMSG);
}

static void test_this_machine(void **state)
{
	bool in[4096];
	long count = 0;

	assert_int_equal(cpu_list_online(in, 4096), 0);
	for (int cpu = 0; cpu < 4096; cpu++)
		count += in[cpu];
	assert_int_equal(count, sysconf(_SC_NPROCESSORS_ONLN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_no_lists),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
