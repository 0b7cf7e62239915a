// LINK: user/errand.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errand.c in this process's own root: what it makes, reads and takes away again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errand.h"
#include "unit.h"

static void answer_write(const struct errand *errand, const char *text)
{
	FILE *file = fopen(errand->answer, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_script_and_answer(void **state)
{
	static const char script[] = "answer = 1\n";
	char answer[ERRAND_ANSWER_MAX], read_back[64] = "";
	struct errand errand;
	struct stat stat;
	int fd;

	assert_int_equal(errand_open(getpid(), &errand), 0);
	assert_int_equal(errand_write(&errand, script, strlen(script)), 0);
	assert_int_equal(errand_write(&errand, script, strlen(script)), -EEXIST);
	fd = open(errand.script, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, read_back, sizeof(read_back)), strlen(script));
	close(fd);
	assert_string_equal(read_back, script);
	assert_int_equal(lstat(errand.script, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0644);
	assert_int_equal(lstat(errand.answer, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0600);
	assert_int_equal(stat.st_uid, geteuid());

	assert_int_equal(errand_answer(&errand, answer), -EAGAIN);
	answer_write(&errand, "ok half");
	assert_int_equal(errand_answer(&errand, answer), -EAGAIN);
	answer_write(&errand, "ok whole\nand more\n");
	assert_int_equal(errand_answer(&errand, answer), 0);
	assert_string_equal(answer, "ok whole");
	errand_close(&errand);
	assert_int_equal(access(errand.script, F_OK), -1);
	assert_int_equal(access(errand.answer, F_OK), -1);
}

/* Whatever is written there, it is read within bounds. */
static void test_answers_that_are_none(void **state)
{
	char answer[ERRAND_ANSWER_MAX], text[4 * ERRAND_ANSWER_MAX];
	struct errand errand;
	struct stat stat;

	assert_int_equal(errand_open(getpid(), &errand), 0);
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	answer_write(&errand, text);
	assert_int_equal(errand_answer(&errand, answer), -EMSGSIZE);
	text[ERRAND_ANSWER_MAX - 2] = '\n';
	answer_write(&errand, text);
	assert_int_equal(errand_answer(&errand, answer), 0);
	assert_int_equal(strlen(answer), ERRAND_ANSWER_MAX - 2);
	/* Its file is the one that was made, whatever has taken its name. */
	assert_int_equal(unlink(errand.answer), 0);
	assert_int_equal(symlink("/etc/passwd", errand.answer), 0);
	assert_int_equal(errand_answer(&errand, answer), 0);
	errand_close(&errand);
	assert_int_equal(lstat(errand.answer, &stat), -1);
	assert_int_equal(access("/etc/passwd", R_OK), 0);
}

static void test_gone(void **state)
{
	struct errand errand;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(errand_open(pid, &errand), -ESRCH);
	errand_close(&errand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script_and_answer),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
