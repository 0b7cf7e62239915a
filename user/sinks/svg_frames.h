/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boxes of a flame graph. For svg.c alone.
 */
#ifndef WSGISCOPE_SINKS_SVG_FRAMES_H
#define WSGISCOPE_SINKS_SVG_FRAMES_H

#include <stdio.h>

struct profile;
struct profile_about;
struct svg_frames;

#define SVG_WIDTH  1200
#define SVG_MARGIN 10

/* Borrows both. 0 or -ENOMEM. */
int svg_frames_new(const struct profile *profile, const struct profile_about *about,
		   struct svg_frames **out);
void svg_frames_free(struct svg_frames *frames);

/* What they take, in pixels. */
int svg_frames_height(const struct svg_frames *frames);

/* The boxes, the outermost with its upper edge at top. 0 or -ENOMEM. */
int svg_frames_put(struct svg_frames *frames, FILE *out, int top);

/* A line that says how many frames were too narrow to be drawn; nothing where there were none. */
void svg_frames_hidden_put(const struct svg_frames *frames, FILE *out, int y);

#endif
