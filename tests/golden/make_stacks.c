/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the recordings with samples that the golden tests replay: make_stacks DIRECTORY. What
 * they should look like is in profiles/ beside this.
 */
#include <stdio.h>
#include <string.h>

#include "recordings.h"
#include "sample_make.h"

/* Addresses of code objects. */
enum code {
	SERVE = 0x1000,
	APP = 0x2000,
	VIEW = 0x3000,
	FIB = 0x4000,
	LAMBDA = 0x5000,
	QUERY = 0x6000,
	IDLE = 0x7000,
	LATE = 0x8000,
	EVAL = 0x100000,
	SORT = 0x100100,
	MAIN = 0x100200,
	KERNEL = 0xffffffff81000000,
};

static struct made_sample sample;
static struct made_code code;

static void put_sample(struct recording *out)
{
	put(out, &sample, sample.record.h.size);
}

static void put_code(struct recording *out, enum rec_code_kind kind, __u64 address,
		     const char *name, const char *file, __u32 first_line)
{
	code_make(&code, kind, address, name, file, first_line);
	put(out, &code, code.record.h.size);
}

static void put_codes(struct recording *out)
{
	put_code(out, CODE_PYTHON, SERVE, "serve", "/srv/server.py", 10);
	put_code(out, CODE_PYTHON, APP, "App.__call__", "/srv/app.py", 20);
	put_code(out, CODE_PYTHON, VIEW, "view", "/srv/views.py", 30);
	put_code(out, CODE_PYTHON, FIB, "fib", "/srv/views.py", 50);
	put_code(out, CODE_PYTHON, LAMBDA, "view.<locals>.<lambda>", "/srv/views.py", 33);
	put_code(out, CODE_PYTHON, QUERY, "query", "/srv/db.py", 5);
	put_code(out, CODE_PYTHON, IDLE, "Server.idle", "/srv/server.py", 70);
	put_code(out, CODE_NATIVE, EVAL, "_PyEval_EvalFrameDefault", "/usr/bin/python3.11", 0);
	put_code(out, CODE_NATIVE, SORT, "list_sort", "/usr/bin/python3.11", 0);
	put_code(out, CODE_NATIVE, MAIN, "main", "/usr/bin/python3.11", 0);
	put_code(out, CODE_KERNEL, KERNEL, "asm_sysvec_apic_timer_interrupt", "[kernel]", 0);
}

/* The outer frames that all samples within requests have. */
static void frames_outer(void)
{
	sample_frame(&sample, APP, 15);
	sample_frame(&sample, SERVE, 25);
}

static void put_fib(struct recording *out, __u64 id, int depth)
{
	sample_make(&sample, id);
	for (int i = 0; i < depth; i++)
		sample_frame(&sample, FIB, i ? 29 : 10);
	sample_frame(&sample, VIEW, 25);
	frames_outer();
	put_sample(out);
}

static void put_wait(struct recording *out, __u64 id, enum rec_state state, __u64 weight_ns)
{
	sample_make(&sample, id);
	sample_wait(&sample, state, weight_ns);
	if (state == STATE_SOCKET_READ)
		sample.record.peer = (struct rec_peer){.wait_ns = weight_ns,
						       .family = REC_FAMILY_INET,
						       .port = 5432,
						       .address = {10, 0, 0, 5}};
	sample_frame(&sample, QUERY, 45);
	sample_frame(&sample, VIEW, 5);
	frames_outer();
	put_sample(out);
}

/* A sort with a key function written in Python: native frames on both sides of it. */
static void put_native(struct recording *out, __u64 id)
{
	sample_make(&sample, id);
	sample_frame(&sample, LAMBDA, 0);
	sample_frame(&sample, VIEW, 35);
	frames_outer();
	sample_native(&sample, SORT);
	sample_native(&sample, EVAL);
	sample_native(&sample, SORT);
	sample_native(&sample, EVAL);
	sample_native(&sample, MAIN);
	sample_kernel(&sample, KERNEL);
	put_sample(out);
}

static void put_outside(struct recording *out)
{
	sample_make(&sample, 0);
	sample_frame(&sample, IDLE, 95);
	sample_frame(&sample, SERVE, 5);
	put_sample(out);
}

static void request_end(struct recording *out, __u64 id, const char *path, const char *route,
			__u64 ms)
{
	struct rec_request r = make_request(id);

	r.end_ns = r.start_ns + ms * MS;
	r.h.time_ns = r.end_ns + 5000;
	if (route)
		make_latin1(&r, STR_ROUTE, route);
	put_request(out, r, path);
}

/* Three routes, recursion, waits, samples outside of requests; a name that comes late. */
static void fill_stacks(struct recording *out)
{
	struct rec_request failed;

	put_worker(out, MAKE_PID, "gunicorn");
	put_codes(out);
	for (int depth = 1; depth <= 4; depth++)
		put_fib(out, 1, depth);
	put_native(out, 1);
	put_wait(out, 1, STATE_SOCKET_READ, 40 * MS);
	put_wait(out, 1, STATE_GIL, 7 * MS);
	request_end(out, 1, "/issue/1", "/issue/<int:id>", 100);
	put_outside(out);
	put_fib(out, 2, 2);
	sample_make(&sample, 2);
	sample_frame(&sample, LATE, 99);
	frames_outer();
	put_sample(out);
	put_wait(out, 2, STATE_SLEEP, 800 * MS);
	request_end(out, 2, "/issue/2", "/issue/<int:id>", 900);
	put_code(out, CODE_PYTHON, LATE, "late", "/srv/late.py", 100);
	put_fib(out, 3, 1);
	failed = make_request(3);
	failed.status = 503;
	put_request(out, failed, "/about/us");
	put_fib(out, 4, 3); /* a request that does not end */
	put_counters(out, 3, 0);
}

/* The same program after a change: fib is faster, something new is slow. */
static void fill_after(struct recording *out)
{
	put_worker(out, MAKE_PID, "gunicorn");
	put_codes(out);
	put_code(out, CODE_PYTHON, LATE, "log_all", "/srv/log.py", 100);
	for (__u64 id = 1; id <= 6; id++) {
		put_fib(out, id, 1);
		sample_make(&sample, id);
		sample_frame(&sample, LATE, 99);
		frames_outer();
		put_sample(out);
		request_end(out, id, "/issue/1", "/issue/<int:id>", 20);
	}
	put_counters(out, 6, 0);
}

static void put_raw_name(struct recording *out, __u64 address, const char *name, size_t bytes,
			 const char *file)
{
	const struct rec_line lines[] = {{0, 7}};

	code_make_raw(&code, CODE_PYTHON, address, name, bytes, file, strlen(file), lines, 1);
	put(out, &code, code.record.h.size);
}

/* Names that would do harm in XML, in a script, in a terminal, in a folded line, in a file name. */
static void fill_hostile(struct recording *out)
{
	static const char *const names[] = {
		"</title><script>alert(1)</script>",
		"]]></script><script>alert(2)</script>",
		"a;b;c 12",
		"two\nlines\ttab",
		"\x1b[2J\x1b]0;owned\x07",
		"\" onload=\"alert(3)\" '&amp;",
		"bad\xff\xc0\xafutf8",
		"\xe5\x87\xa6\xe7\x90\x86_\xf0\x9f\x90\x8d", /* CJK, emoji */
		/* Two pieces, or the escape would end later. NOLINTNEXTLINE(bugprone-*) */
		"rtl\xe2\x80\xae"
		"gpj.exe",
		"",
	};
	const size_t count = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < count; i++)
		put_raw_name(out, 0x9000 + i, names[i], strlen(names[i]), "/srv/<&>\".py");
	put_raw_name(out, 0x9000 + count, "nul\0inside", 10, "");
	for (size_t i = 0; i <= count; i++) {
		sample_make(&sample, 1);
		sample_frame(&sample, 0x9000 + i, 0);
		sample_frame(&sample, 0x9000, 0);
		put_sample(out);
	}
	request_end(out, 1, "/../../etc/passwd\n\x1b[2J ;rm -rf", "</title><script>", 10);
	put_counters(out, 1, 0);
}

/* Native and kernel frames that had no room; of the first only the interpreter's own are missing.
 */
static void put_cut(struct recording *out)
{
	put_code(out, CODE_NATIVE, EVAL, "_PyEval_EvalFrameDefault", "/usr/bin/python3.11", 0);
	put_code(out, CODE_NATIVE, SORT, "list_sort", "/usr/bin/python3.11", 0);
	put_code(out, CODE_KERNEL, KERNEL, "asm_sysvec_apic_timer_interrupt", "[kernel]", 0);
	for (int reaches = 1; reaches >= 0; reaches--) {
		sample_make(&sample, 1);
		sample_frame(&sample, APP, 15);
		sample.record.flags = SAMPLE_F_NATIVE_CUT | (reaches ? 0 : SAMPLE_F_KERNEL_CUT);
		sample_native(&sample, SORT);
		sample_native(&sample, reaches ? EVAL : SORT);
		sample_kernel(&sample, KERNEL);
		put_sample(out);
	}
}

/* Every reason why frames and names are missing; weights that lie; records that make no sense. */
static void fill_missing(struct recording *out)
{
	put_code(out, CODE_PYTHON, APP, "App.__call__", "/srv/app.py", 20);
	for (int failed = CODE_OK + 1; failed < CODE_FAILURES; failed++) {
		code_make(&code, CODE_PYTHON, 0xa000 + failed, "", "", 0);
		code.record.failed = (__u8)failed;
		put(out, &code, code.record.h.size);
		sample_make(&sample, 1);
		sample_frame(&sample, 0xa000 + failed, 0);
		sample_frame(&sample, APP, 15);
		put_sample(out);
	}
	for (int error = STACK_OK; error < STACK_ERRORS; error++) {
		sample_make(&sample, 1);
		sample.record.error = (__u8)error;
		put_sample(out);
	}
	sample_make(&sample, 1);
	sample.record.error = STACK_UNREADABLE;
	sample_frame(&sample, APP, 15);
	put_sample(out);
	sample_make(&sample, 1);
	sample.record.flags = SAMPLE_F_TRUNCATED;
	for (int i = 0; i < STACK_PYTHON_MAX; i++)
		sample_frame(&sample, APP, 15);
	put_sample(out);
	sample_wait(&sample, STATE_SLEEP, 10 * MS); /* a wait that was as deep */
	put_sample(out);
	put_cut(out);
	sample_make(&sample, 1);
	sample_frame(&sample, 0xb000, 0); /* its name never comes */
	put_sample(out);
	sample.record.weight_ns = ~0ULL;
	put_sample(out);
	sample.record.h.size -= 8;
	put_sample(out);
	code_make(&code, CODE_PYTHON, 0xc000, "backwards", "/srv/app.py", 20);
	memcpy(code.rest, code.rest + 8, 8);
	code.record.h.size += 8;
	put(out, &code, code.record.h.size);
	request_end(out, 1, "/", NULL, 10);
	put_counters(out, 1, 0);
}

static const struct golden_recording recordings[] = {
	{"stacks", fill_stacks},
	{"stacks-after", fill_after},
	{"stacks-hostile", fill_hostile},
	{"stacks-missing", fill_missing},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return recordings_write(argc, argv, recordings);
}
