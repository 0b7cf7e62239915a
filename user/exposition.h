/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The aggregate as text for Prometheus: its own format 0.0.4, and OpenMetrics 1.0, which adds
 * units, times of creation and exemplars. Knows names, types and escapes, nothing of HTTP.
 */
#ifndef WSGISCOPE_EXPOSITION_H
#define WSGISCOPE_EXPOSITION_H

struct aggregate;
struct aggregate_moment;
struct text_buffer;

enum exposition_format {
	EXPOSITION_PROMETHEUS,
	EXPOSITION_OPENMETRICS,
};

/* The format that an Accept header asks for: OpenMetrics 1.0 where it is named with at least the
 * weight of text/plain, else Prometheus, which also is for NULL. The header may hold anything. */
enum exposition_format exposition_choose(const char *accept);

/* For Content-Type; static. */
const char *exposition_content_type(enum exposition_format format);

/*
 * Appends everything to out. The label sets come in the order in which they were first seen, so two
 * scrapes differ only in what has changed. 0 or -ENOMEM: out is not whole.
 */
int exposition_write(const struct aggregate *aggregate, const struct aggregate_moment *moment,
		     enum exposition_format format, struct text_buffer *out);

#endif
