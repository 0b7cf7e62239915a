// LINK: user/python/gil.c user/python/offsets.c user/memory.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gil.c and offsets.c against memory made to look like a Python, and like a broken or hostile one:
 * that memory is this process's own. Real Pythons are test_gil_live.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python/gil.h"
#include "unit.h"

#ifdef __aarch64__
#define GIL_BYTES 224
#else
#define GIL_BYTES 208
#endif

#define INTERPRETERS	  24
#define INTERPRETER_BYTES 2048
#define INTERPRETER_GIL	  1024 /* its own */
#define PAGE		  4096
#define RANDOM_ROUNDS	  20000

/* Where the image puts things: fixed up to 3.12, and freely chosen from 3.13 on. */
struct layout {
	uint32_t version;
	uint16_t head, next, id, gil_pointer;
	uint16_t runtime_gil; /* 0: each interpreter's */
	uint16_t debug;	      /* ceval_gil's position in the debug offsets, 0: there are none */
	bool free_threaded;
};

static const struct layout layouts[] = {
	{0x030902f0, 32, 0, 24, 0, 352, 0, false},
	{0x03090000, 32, 0, 24, 0, 352, 0, false},
	{0x030a04f0, 32, 0, 24, 0, 352, 0, false},
	{0x030b02f0, 40, 0, 48, 0, 360, 0, false},
	{0x030c03f0, 40, 0, 8, 384, 0, 0, false},
	{0x030d00f0, 632, 720, 728, 16, 0, 112, false},
	{0x030d12f0, 1600, 160, 40, 800, 0, 112, true},
	{0x030e00f0, 808, 720, 728, 16, 0, 120, false},
	{0x030f00f0, 808, 720, 728, 16, 0, 120, false},
	{0x030e0af0, 512, 0, 8, 2040, 0, 120, true},
};

struct image {
	const struct layout *layout;
	uint8_t runtime[PAGE];
	uint8_t interpreters[INTERPRETERS][INTERPRETER_BYTES]; /* [0] is the main one, the oldest */
	uint8_t holder[64];
};

static struct image image;
static uint8_t *guarded; /* a page with an unmapped one behind it */

#define WILD ((uint64_t)(uintptr_t)(guarded + PAGE))

static void put(uint8_t *structure, uint32_t offset, uint64_t number)
{
	memcpy(structure + offset, &number, sizeof(number));
}

static uint64_t address_of(const void *memory)
{
	return (uintptr_t)memory;
}

/* Where a member of the GIL is; `enabled` comes before all. */
static uint32_t member(const struct layout *layout, uint32_t offset)
{
	return offset + (layout->free_threaded ? 8 : 0);
}

static uint8_t *image_gil(int interpreter)
{
	if (image.layout->runtime_gil)
		return image.runtime + image.layout->runtime_gil;
	return image.interpreters[interpreter] + INTERPRETER_GIL;
}

static void gil_fill(const struct layout *layout, uint8_t *gil)
{
	if (layout->free_threaded)
		put(gil, 0, INT32_MAX);
	put(gil, member(layout, 0), 5000);
	put(gil, member(layout, 8), address_of(image.holder));
	put(gil, member(layout, 16), 1);
}

static void debug_offsets_fill(const struct layout *layout, uint8_t *runtime)
{
	memcpy(runtime, "xdebugpy", 8);
	put(runtime, 8, layout->version);
	put(runtime, 16, layout->free_threaded);
	put(runtime, 24, sizeof(image.runtime));
	put(runtime, 40, layout->head);
	put(runtime, 48, INTERPRETER_BYTES);
	put(runtime, 56, layout->id);
	put(runtime, 64, layout->next);
	put(runtime, layout->debug, layout->gil_pointer);
	put(runtime, layout->debug + 8u, INTERPRETER_GIL);
	put(runtime, layout->debug + 16u, layout->free_threaded ? INTERPRETER_GIL : 0);
	put(runtime, layout->debug + 24u, INTERPRETER_GIL + member(layout, 16));
	put(runtime, layout->debug + 32u, INTERPRETER_GIL + member(layout, 8));
}

/* A Python with so many interpreters, each with a GIL of its own where the version has that. */
static void image_make(const struct layout *layout, int interpreters)
{
	memset(&image, 0, sizeof(image));
	image.layout = layout;
	if (layout->debug)
		debug_offsets_fill(layout, image.runtime);
	for (int i = 0; i < interpreters; i++) {
		uint8_t *interpreter = image.interpreters[i];

		put(interpreter, layout->next, i ? address_of(image.interpreters[i - 1]) : 0);
		put(interpreter, layout->id, (uint64_t)i);
		if (!layout->runtime_gil)
			put(interpreter, layout->gil_pointer, address_of(image_gil(i)));
		gil_fill(layout, image_gil(i));
	}
	put(image.runtime, layout->head, address_of(image.interpreters[interpreters - 1]));
}

static struct python_location image_location(void)
{
	return (struct python_location){
		.runtime = address_of(image.runtime),
		.version = image.layout->version,
		.libc = LIBC_GLIBC,
	};
}

static void gil_expect(const struct python_location *where, enum gil_state state)
{
	struct gil_place place, places[GIL_PLACES_MAX];

	memset(&place, 0xff, sizeof(place));
	assert_int_equal(gil_find(getpid(), where, &place), 0);
	assert_int_equal(place.state, state);
	if (state == GIL_KNOWN)
		assert_null(place.why);
	else
		assert_non_null(place.why);
	if (state == GIL_UNKNOWN) {
		assert_int_equal(place.address, 0);
		assert_int_equal(place.bytes, 0);
	} else {
		assert_int_equal(place.address, address_of(image_gil(0)));
		assert_int_equal(place.bytes, member(image.layout, GIL_BYTES));
	}
	assert_true(gil_find_all(getpid(), where, places) >= 1);
	assert_int_equal(places[0].state, state);
	assert_int_equal(places[0].address, place.address);
}

static void test_sound(void **state)
{
	struct python_location where;

	for (size_t i = 0; i < COUNT_OF(layouts); i++)
		for (int interpreters = 1; interpreters <= INTERPRETERS; interpreters += 7) {
			image_make(&layouts[i], interpreters);
			where = image_location();
			gil_expect(&where, GIL_KNOWN);
		}
	(void)state;
}

/* What is unusual but right. */
static void test_unusual(void **state)
{
	struct python_location where;

	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *layout = &layouts[i];

		image_make(layout, 1);
		where = image_location();
		put(image_gil(0), member(layout, 16), (uint32_t)-1); /* not made yet */
		gil_expect(&where, GIL_KNOWN);
		put(image_gil(0), member(layout, 8), 0); /* nobody has had it */
		gil_expect(&where, GIL_KNOWN);
		image_make(layout, 1);
		put(image_gil(0), member(layout, 0), 0); /* sys.setswitchinterval(1e-9) */
		gil_expect(&where, GIL_KNOWN);
		put(image_gil(0), member(layout, 0), 86400u * 1000000ull);
		gil_expect(&where, GIL_KNOWN);
		where.version = 0; /* from 3.13 on the runtime itself says it */
		gil_expect(&where, layout->debug ? GIL_KNOWN : GIL_UNKNOWN);
		if (!layout->free_threaded)
			continue;
		put(image_gil(0), 0, 0); /* off, as these are by default */
		gil_expect(&where, GIL_ABSENT);
	}
	(void)state;
}

static void test_not_known(void **state)
{
	static const uint32_t versions[] = {0,		0x03080ff0, 0x031000a3, 0x02090000,
					    0x04090000, 0xffffffff, 0x030d00f0, 0x030e00f0};
	struct python_location where;

	image_make(&layouts[0], 1);
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		where = image_location();
		where.version = versions[i];
		gil_expect(&where, GIL_UNKNOWN);
	}
	where = image_location();
	where.libc = LIBC_MUSL;
	gil_expect(&where, GIL_UNKNOWN);
	where.libc = LIBC_UNKNOWN;
	gil_expect(&where, GIL_UNKNOWN);
	where = image_location();
	where.runtime = 0;
	gil_expect(&where, GIL_UNKNOWN);
	where.runtime = WILD;
	gil_expect(&where, GIL_UNKNOWN);
	where.runtime = UINT64_MAX - 7;
	gil_expect(&where, GIL_UNKNOWN);
	(void)state;
}

/* One number of the image wrong, everything else right. */
static void wrong(uint8_t *structure, uint32_t offset, uint64_t number)
{
	struct python_location where = image_location();
	uint64_t right;

	memcpy(&right, structure + offset, sizeof(right));
	put(structure, offset, number);
	gil_expect(&where, GIL_UNKNOWN);
	put(structure, offset, right);
	gil_expect(&where, GIL_KNOWN);
}

static void test_wrong_gil(void **state)
{
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *layout = &layouts[i];

		image_make(layout, 1);
		wrong(image_gil(0), member(layout, 0), address_of(&image));
		wrong(image_gil(0), member(layout, 0), UINT64_MAX);
		wrong(image_gil(0), member(layout, 8), WILD);
		wrong(image_gil(0), member(layout, 8), address_of(image.holder) + 1);
		wrong(image_gil(0), member(layout, 16), 2);
		wrong(image_gil(0), member(layout, 16), (uint32_t)-2);
		put(image_gil(0), member(layout, 0), 0);
		wrong(image_gil(0), member(layout, 8), 0); /* all zeroes */
	}
	(void)state;
}

static void test_wrong_interpreters(void **state)
{
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *layout = &layouts[i];
		uint8_t *main = image.interpreters[0];

		image_make(layout, 3);
		wrong(image.runtime, layout->head, 0);
		wrong(image.runtime, layout->head, WILD);
		wrong(image.runtime, layout->head, address_of(main) + 4);
		wrong(image.runtime, layout->head, UINT64_MAX);
		wrong(main, layout->id, 7); /* no main one, and an end */
		wrong(image.interpreters[2], layout->next, WILD);
		wrong(image.interpreters[2], layout->next,
		      address_of(image.interpreters[2])); /* a cycle */
		wrong(image.interpreters[1], layout->next, address_of(image.interpreters[2]));
		if (layout->runtime_gil)
			continue;
		wrong(main, layout->gil_pointer, 0);
		wrong(main, layout->gil_pointer, WILD);
		wrong(main, layout->gil_pointer, address_of(image_gil(0)) + 4);
		/* begins in memory, ends outside */
		gil_fill(layout, guarded + PAGE - 64);
		wrong(main, layout->gil_pointer, address_of(guarded) + PAGE - 64);
	}
	(void)state;
}

static void test_wrong_debug_offsets(void **state)
{
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *layout = &layouts[i];
		const uint16_t numbers[] = {24,
					    40,
					    48,
					    56,
					    64,
					    layout->debug,
					    layout->debug + 8u,
					    layout->debug + 24u,
					    layout->debug + 32u};

		if (!layout->debug)
			continue;
		image_make(layout, 1);
		wrong(image.runtime, 0, 0);
		wrong(image.runtime, 8, 0x031000f0);
		wrong(image.runtime, 8, 0x1030d00f0);
		wrong(image.runtime, 16, 2);
		wrong(image.runtime, 16, !layout->free_threaded);
		for (size_t n = 0; n < COUNT_OF(numbers); n++) {
			wrong(image.runtime, numbers[n], UINT64_MAX);
			wrong(image.runtime, numbers[n], (uint64_t)1 << 32);
			wrong(image.runtime, numbers[n], 4);
		}
		if (layout->free_threaded)
			wrong(image.runtime, layout->debug + 16u, 0);
	}
	(void)state;
}

static void test_own_gils(void **state)
{
	struct gil_place places[GIL_PLACES_MAX];

	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *layout = &layouts[i];
		struct python_location where;

		image_make(layout, INTERPRETERS);
		where = image_location();
		assert_int_equal(gil_find_all(getpid(), &where, places),
				 layout->runtime_gil ? 1 : INTERPRETERS);
		if (layout->runtime_gil)
			continue;
		for (int n = 1; n < GIL_PLACES_MAX; n++) {
			assert_int_equal(places[n].state, GIL_KNOWN);
			assert_int_equal(places[n].address, address_of(image_gil(24 - n)));
		}
		/* Two that share the main one's, one that is only being made, one that is broken */
		put(image.interpreters[2], layout->gil_pointer, address_of(image_gil(0)));
		put(image.interpreters[5], layout->gil_pointer, address_of(image_gil(0)));
		put(image.interpreters[6], layout->gil_pointer, 0);
		put(image_gil(7), member(layout, 16), 99);
		assert_int_equal(gil_find_all(getpid(), &where, places), INTERPRETERS - 4);
	}
	(void)state;
}

/* Whatever is in memory: an answer, and never one that has not been looked at. */
static void test_random(void **state)
{
	uint64_t words[] = {0,
			    1,
			    8,
			    64,
			    UINT64_MAX,
			    WILD,
			    address_of(image.interpreters),
			    address_of(image.runtime),
			    address_of(guarded + PAGE - 16)};
	int known = 0, unknown = 0;

	srandom(3);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		const struct layout *layout = &layouts[(size_t)random() % COUNT_OF(layouts)];
		struct python_location where;
		struct gil_place place, places[GIL_PLACES_MAX];
		uint8_t *targets[] = {image.runtime, image.interpreters[0], image.interpreters[1],
				      image_gil(0)};

		image_make(layout, 2);
		where = image_location();
		for (long left = 1 + random() % 3; left; left--)
			put(targets[(size_t)random() % COUNT_OF(targets)],
			    (uint32_t)(random() % 128) * 8,
			    words[(size_t)random() % COUNT_OF(words)]);
		assert_int_equal(gil_find(getpid(), &where, &place), 0);
		assert_true(gil_find_all(getpid(), &where, places) >= 1);
		known += place.state == GIL_KNOWN;
		unknown += place.state == GIL_UNKNOWN;
		if (place.state == GIL_KNOWN) {
			const uint8_t *gil = (const uint8_t *)(uintptr_t)place.address;
			int32_t locked;

			memcpy(&locked, gil + member(layout, 16), sizeof(locked));
			assert_in_range(locked + 1, 0, 2);
		}
	}
	assert_true(known > RANDOM_ROUNDS / 10 && unknown > RANDOM_ROUNDS / 100);
	(void)state;
}

/* What gil_find() says in a child, or of one: -errno, or its state. */
static int child_ask(pid_t asked, bool as_nobody)
{
	struct python_location where = image_location();
	struct gil_place place;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (as_nobody && (setgid(65534) || setuid(65534)))
			_exit(100);
		status = gil_find(asked, &where, &place);
		_exit(status ? -status : 200 + (int)place.state);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) >= 200 ? WEXITSTATUS(status) - 200 : -WEXITSTATUS(status);
}

/* A process that is no Python: has become another program when this returns. */
static pid_t stranger_start(void)
{
	int pipes[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	return pid;
}

static void test_wrong_process(void **state)
{
	struct python_location where;
	struct gil_place place;
	pid_t gone, stranger;

	image_make(&layouts[0], 1);
	where = image_location();
	gone = fork();
	assert_true(gone >= 0);
	if (!gone)
		_exit(0);
	assert_int_equal(waitpid(gone, NULL, 0), gone);
	assert_int_equal(gil_find(gone, &where, &place), -ESRCH);
	assert_int_equal(gil_find(0, &where, &place), -ESRCH);
	assert_int_equal(gil_find(-1, &where, &place), -ESRCH);
	stranger = stranger_start();
	assert_int_equal(gil_find(stranger, &where, &place), 0);
	assert_int_equal(place.state, GIL_UNKNOWN);
	assert_int_equal(kill(stranger, SIGKILL), 0);
	assert_int_equal(waitpid(stranger, NULL, 0), stranger);
	if (geteuid() != 0)
		unit_skip("reading another user's process needs root");
	assert_int_equal(child_ask(getpid(), false), GIL_KNOWN);
	assert_int_equal(child_ask(getpid(), true), -EPERM);
	(void)state;
}

static int guard_make(void **state)
{
	(void)state;
	guarded = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED)
		return -1;
	/* Kept, so that nothing else is mapped there, but not to be read. */
	return mprotect(guarded + PAGE, PAGE, PROT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_unusual),
		cmocka_unit_test(test_not_known),
		cmocka_unit_test(test_wrong_gil),
		cmocka_unit_test(test_wrong_interpreters),
		cmocka_unit_test(test_wrong_debug_offsets),
		cmocka_unit_test(test_own_gils),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_wrong_process),
	};

	return cmocka_run_group_tests(tests, guard_make, NULL);
}
