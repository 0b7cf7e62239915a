/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and headings as text, for the formats that are read by people. Hostile texts come out
 * escaped as in a line of text (escape.h), but with their spaces.
 */
#ifndef WSGISCOPE_PROFILE_WORDS_H
#define WSGISCOPE_PROFILE_WORDS_H

#include <stdio.h>

#include "profile.h"

struct profile_about;

/* Of a text, so that it is printable UTF-8 in one line. */
void profile_text_put(FILE *out, struct request_text text);

/* The same in XML, as content or inside a quoted attribute. */
void profile_xml_put(FILE *out, const char *text, size_t bytes);

/* "name (file:line)": the line being executed where lines are told apart, else the first. */
void profile_frame_put(FILE *out, const struct profile *profile, uint32_t node);

/* "Where requests ran, 12.3 s in 45 requests": what a profile shows, in one line. */
void profile_heading_put(FILE *out, const struct profile *profile,
			 const struct profile_about *about);

/* Side 0 as side 1 would have it, had it had as many requests; 1 where that is not known. */
double profile_scale(const struct profile_about *about);

#endif
