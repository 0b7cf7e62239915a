/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The call tree: weights, order, lines, sides, bounds; and its sums by function.
 */
#include <stdio.h>
#include <stdlib.h>

#include "profile.h"
#include "profile_sums.h"
#include "unit.h"

/* Frames of the letters of a word, outermost first; a digit is the line of the letter before. */
static size_t frames_of(const char *word, struct profile_frame *frames)
{
	size_t count = 0;

	for (; *word; word++) {
		if (*word >= '0' && *word <= '9')
			frames[count - 1].line = (uint32_t)(*word - '0');
		else
			frames[count++] = (struct profile_frame){
				.kind = PROFILE_PYTHON, .name = {word, 1}, .file = {"f", 1}};
	}
	return count;
}

static void add(struct profile *profile, unsigned int side, const char *word, uint64_t weight_ns)
{
	struct profile_frame frames[PROFILE_DEPTH_MAX];
	size_t count = frames_of(word, frames);

	assert_int_equal(profile_add(profile, side, frames, count, weight_ns), 0);
}

/* The tree as "a(b:5 c:1)": letters with the self weights of side 0, in order. */
static void print(const struct profile *profile, uint32_t node, FILE *out)
{
	const struct profile_node *at = &profile->nodes[node];

	fprintf(out, "%s", profile->functions[at->function].name.ptr);
	if (at->line)
		fprintf(out, "%u", at->line);
	if (at->self[0].ns)
		fprintf(out, ":%d", (int)at->self[0].ns);
	if (at->first_child) {
		fputc('(', out);
		for (uint32_t child = at->first_child; child;
		     child = profile->nodes[child].next_sibling) {
			print(profile, child, out);
			fputs(profile->nodes[child].next_sibling ? " " : "", out);
		}
		fputc(')', out);
	}
}

static void check_tree(const struct profile *profile, const char *want)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	print(profile, 0, out);
	fclose(out);
	assert_string_equal(text, want);
	free(text);
}

static void test_tree(void **state)
{
	struct profile *profile;
	uint32_t node = 0, seen = 0;

	assert_int_equal(profile_new(false, &profile), 0);
	add(profile, 0, "ac", 1);
	add(profile, 0, "ab", 2);
	add(profile, 0, "ab", 3);
	add(profile, 0, "a", 4);
	add(profile, 0, "b", 5);
	add(profile, 0, "", 6);
	add(profile, 0, "aba", 7);
	assert_int_equal(profile_finish(profile), 0);
	check_tree(profile, "all:6(a:4(b:5(a:7) c:1) b:5)");
	assert_int_equal(profile->nodes[0].total[0].ns, 28);
	assert_int_equal(profile->nodes[0].total[0].samples, 7);
	assert_int_equal(profile->function_count, 4); /* with the root's */
	do {
		assert_true(!node || profile->nodes[node].parent < node);
		seen++;
		node = profile_next(profile, node);
	} while (node);
	assert_int_equal(seen, profile->node_count);
	profile_free(profile);
}

static void test_lines(void **state)
{
	struct profile *profile;

	for (int by_line = 0; by_line < 2; by_line++) {
		assert_int_equal(profile_new(by_line, &profile), 0);
		add(profile, 0, "a2b", 1);
		add(profile, 0, "a1b", 2);
		add(profile, 0, "a1b3", 4);
		assert_int_equal(profile_finish(profile), 0);
		check_tree(profile, by_line ? "all(a1(b:2 b3:4) a2(b:1))" : "all(a(b:7))");
		assert_int_equal(profile->function_count, 3);
		profile_free(profile);
	}
}

static void test_sums_count_recursion_once(void **state)
{
	struct profile_sum *sums;
	struct profile *profile;

	assert_int_equal(profile_new(false, &profile), 0);
	add(profile, 0, "aba", 1);
	add(profile, 0, "abab", 2);
	add(profile, 1, "b", 8);
	assert_int_equal(profile_finish(profile), 0);
	assert_int_equal(profile_sums_make(profile, &sums), 0);
	/* Functions in the order in which they came: the root, a, b. */
	assert_int_equal(sums[0].total[0].ns, 3);
	assert_int_equal(sums[1].total[0].ns, 3);
	assert_int_equal(sums[1].total[0].samples, 2);
	assert_int_equal(sums[1].frames, 4);
	assert_int_equal(sums[1].self[0].ns, 1);
	assert_int_equal(sums[2].total[0].ns, 3);
	assert_int_equal(sums[2].self[0].ns, 2);
	assert_int_equal(sums[2].frames, 3);
	assert_int_equal(sums[2].total[1].ns, 8);
	assert_int_equal(sums[1].total[1].ns, 0);
	free(sums);
	profile_free(profile);
}

static void test_deep_and_wide(void **state)
{
	struct profile_frame frames[PROFILE_DEPTH_MAX];
	struct profile *profile;
	char names[3000][8];

	assert_int_equal(profile_new(false, &profile), 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		for (size_t depth = 0; depth < COUNT_OF(frames); depth++)
			frames[depth] = (struct profile_frame){.kind = PROFILE_PYTHON,
							       .name = {names[i], strlen(names[i])},
							       .first_line = depth % 7};
		assert_int_equal(profile_add(profile, 0, frames, i ? 10 : COUNT_OF(frames), 1), 0);
	}
	assert_int_equal(profile_finish(profile), 0);
	assert_int_equal(profile->node_count, 1 + PROFILE_DEPTH_MAX + 2999 * 10);
	assert_int_equal(profile->nodes[0].total[0].ns, 3000);
	profile_free(profile);
}

/* Past the bound a sample is booked to what there is room for; none is lost. */
static void test_full(void **state)
{
	struct profile_frame frame = {.kind = PROFILE_PYTHON, .name = {"f", 1}};
	struct profile *profile;

	assert_int_equal(profile_new(true, &profile), 0);
	for (uint32_t line = 1; line <= PROFILE_NODES_MAX + 5; line++) {
		frame.line = line;
		assert_int_equal(profile_add(profile, 0, &frame, 1, 2), 0);
	}
	assert_int_equal(profile_finish(profile), 0);
	assert_int_equal(profile->node_count, PROFILE_NODES_MAX);
	assert_int_equal(profile->cut, 6);
	assert_int_equal(profile->nodes[0].self[0].ns, 12);
	assert_int_equal(profile->nodes[0].total[0].ns, 2 * (PROFILE_NODES_MAX + 5ULL));
	profile_free(profile);
}

static void test_sums_do_not_wrap(void **state)
{
	struct profile *profile;

	assert_int_equal(profile_new(false, &profile), 0);
	for (int i = 0; i < 5; i++)
		add(profile, 0, i % 2 ? "a" : "b", 1ULL << 62);
	assert_int_equal(profile_finish(profile), 0);
	assert_int_equal(profile->nodes[0].total[0].ns, INT64_MAX);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_sums_count_recursion_once),
		cmocka_unit_test(test_deep_and_wide),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_sums_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
