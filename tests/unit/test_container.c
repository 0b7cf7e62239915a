// LINK: user/container.c user/proc.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * container.c: the names that container programs give to control groups, and this process's own.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "container.h"

#define ID "4f5a3c0d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f"

static const struct {
	const char *cgroups, *name;
} cases[] = {
	{"0::/system.slice/docker-" ID ".scope\n", "4f5a3c0d9e8b"},
	{"12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/\n", "4f5a3c0d9e8b"},
	{"0::/kubepods.slice/kubepods-pod12.slice/cri-containerd-" ID ".scope\n", "4f5a3c0d9e8b"},
	{"0::/user.slice/libpod-" ID ".scope/container\n", "4f5a3c0d9e8b"},
	{"0::/lxc.payload.shop\n", "lxc.payload.shop"},
	{"0::/machine.slice/machine-shop.scope\n", "machine-shop"},
	{"0::/system.slice/shop.service\n", "shop"},
	{"4:memory:/other\n1:name=systemd:/web-1\n0::/\n", "web-1"},
	{"4:memory:/other\n0::/", "other"},
	{"0::/\n", ""},
	{"", ""},
	{"no colon\n:\n::\n0::", ""},
	{"0::/.scope\n", ".scope"},
	/* Not an id: a digit too few, one too many. */
	{"0::/a" ID "\n", "a4f5a3c0d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a"},
	{"0::/4f5a3c0d\n", "4f5a3c0d"},
};

static void test_names(void **state)
{
	char name[CONTAINER_NAME_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(name, 'x', sizeof(name));
		container_name(cases[i].cgroups, name);
		assert_string_equal(name, cases[i].name);
	}
}

static void test_none(void **state)
{
	struct container container;

	assert_int_equal(container_find(getpid(), &container), -ENOENT);
	assert_int_equal(container_find(0x3fffff00, &container), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
