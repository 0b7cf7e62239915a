/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * From what a mark points at to a record: the one read of the worker's memory, its strings, its
 * counts. Nothing is believed: sizes are bounded here, sense is made of it in user space.
 */
#ifndef WSGISCOPE_MARK_BPF_H
#define WSGISCOPE_MARK_BPF_H

#include "state.bpf.h"

/* What a mark points at, copied: not believed, but bounded where it says so. */
struct mark {
	__u64 text;		       /* where its text lies in the worker */
	struct wsgiscope_request told; /* text_bytes is bounded */
};

_Static_assert(sizeof(((struct wsgiscope_request *)0)->text) == STR_BESIDE_MAX,
	       "a record has room for the marker's text");

/*
 * The worker's struct and the text in it. Onto the stack: a kernel that checks where a copy goes
 * (CONFIG_HARDENED_USERCOPY) takes 70 ns less for that than for a map's memory. DROP_REASONS, else
 * why not, which the caller counts: a request is lost once, however often its struct is looked at.
 */
static __always_inline enum drop_reason mark_read(struct mark *mark, __u64 address)
{
	const struct wsgiscope_request *from = (const void *)address;
	struct wsgiscope_request *m = &mark->told;

	if (bpf_probe_read_user(m, sizeof(*m), from) || !m->id)
		return DROP_BAD_MARK;
	if (m->version != WSGISCOPE_MARKS_VERSION || m->size < sizeof(*m))
		return DROP_MARKER_VERSION;
	if (m->text_bytes > sizeof(m->text))
		m->text_bytes = sizeof(m->text);
	mark->text = (__u64)from->text;
	return DROP_REASONS;
}

/* The text that lies in the struct, all of it: the strings only say where theirs is. */
static __always_inline void text_put(struct rec_request *r, const struct mark *mark)
{
	__builtin_memcpy(r->text, mark->told.text, sizeof(mark->told.text));
	if (r->text_bytes < mark->told.text_bytes)
		r->text_bytes = mark->told.text_bytes;
}

/* Reads a string that lies elsewhere, behind those that are there already. */
static __always_inline void string_read(struct rec_request *r, struct rec_str *to, __u64 from,
					__u64 bytes, const __u32 max)
{
	__u32 at = r->text_bytes;

	if (at < STR_BESIDE_MAX)
		at = STR_BESIDE_MAX;
	barrier_var(at);
	barrier_var(bytes);
	if (at > STR_TEXT_MAX - max || bytes > max)
		return;
	if (bpf_probe_read_user(r->text + at, bytes, (const void *)from)) {
		to->failed = 1;
		count_drop(DROP_BAD_STRING);
		return;
	}
	to->offset = at;
	to->bytes = bytes;
	r->text_bytes = at + bytes;
}

/* After text_put(). max: the string's STR_…_MAX. */
static __always_inline void string_put(struct rec_request *r, enum rec_string which,
				       const struct mark *mark, const struct wsgiscope_str *s,
				       const __u32 max)
{
	__u64 at = s->ptr - mark->text, beside = mark->told.text_bytes;
	struct rec_str *to = &r->str[which];
	__u64 bytes = s->len;

	*to = (struct rec_str){.kind = s->kind};
	if (s->kind == WSGISCOPE_STR_NONE || !bytes)
		return;
	if (s->kind == WSGISCOPE_STR_UCS2 || s->kind == WSGISCOPE_STR_UCS4)
		bytes *= s->kind;
	if (bytes > max) {
		bytes = max;
		to->cut = 1;
	}
	if (at < beside && bytes <= beside - at) {
		to->offset = at;
		to->bytes = bytes;
		return;
	}
	string_read(r, to, s->ptr, bytes, max);
}

static __always_inline void strings_put_start(struct rec_request *r, const struct mark *mark)
{
	const struct wsgiscope_request *m = &mark->told;

	r->text_bytes = 0;
	text_put(r, mark);
	string_put(r, STR_METHOD, mark, &m->method, STR_METHOD_MAX);
	string_put(r, STR_SCRIPT, mark, &m->script, STR_SCRIPT_MAX);
	string_put(r, STR_PATH, mark, &m->path, STR_PATH_MAX);
	string_put(r, STR_QUEUE, mark, &m->queue, STR_QUEUE_MAX);
	string_put(r, STR_TRACEPARENT, mark, &m->traceparent, STR_TRACEPARENT_MAX);
	string_put(r, STR_APP, mark, &m->app, STR_APP_MAX);
	r->flags &= ~REC_F_TEXT_UNREAD;
}

/* What a request has at its end only. The text in the worker's struct grows: it is copied anew. */
static __always_inline void strings_put_end(struct rec_request *r, const struct mark *mark)
{
	const struct wsgiscope_request *m = &mark->told;

	if (r->flags & REC_F_TEXT_UNREAD)
		strings_put_start(r, mark);
	else if (m->route.kind || m->exception.kind)
		text_put(r, mark);
	if (!m->route.kind && !m->exception.kind)
		return;
	string_put(r, STR_ROUTE, mark, &m->route, STR_ROUTE_MAX);
	string_put(r, STR_EXCEPTION, mark, &m->exception, STR_EXCEPTION_MAX);
}

static __always_inline void counts_put(struct rec_request *r, const struct wsgiscope_request *m)
{
	r->end_ns = m->end_ns;
	r->first_block_ns = m->first_block_ns;
	r->output_ns = m->output_ns;
	r->blocks = m->blocks;
	r->bytes = m->bytes;
	r->status = m->status;
	r->mark_flags = m->flags;
}

#endif
