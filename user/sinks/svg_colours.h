/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The colours of a flame graph's frames, each as "#rrggbb": light enough for black letters, on
 * paper too.
 */
#ifndef WSGISCOPE_SINKS_SVG_COLOURS_H
#define WSGISCOPE_SINKS_SVG_COLOURS_H

#include "profile.h"

#define SVG_COLOUR_BYTES 8

/* Of the file that a function lies in: all of one file are alike, in every graph. */
void svg_colour_of_function(const struct profile_function *function, char out[SVG_COLOUR_BYTES]);

void svg_colour_of_state(enum request_state state, char out[SVG_COLOUR_BYTES]);

/* -1: all of the whole was lost (blue), 0: the same (white), 1: won (red). */
void svg_colour_of_growth(double growth, char out[SVG_COLOUR_BYTES]);

#endif
