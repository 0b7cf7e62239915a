/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the palette.
 */
#include "sinks/svg_colours.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void colour_put(double red, double green, double blue, char out[SVG_COLOUR_BYTES])
{
	const double parts[] = {red, green, blue};

	out[0] = '#';
	for (int i = 0; i < 3; i++) {
		double part = fmin(fmax(parts[i], 0), 1);
		unsigned int byte = (unsigned int)(255 * part + 0.5);

		out[1 + 2 * i] = "0123456789abcdef"[byte >> 4];
		out[2 + 2 * i] = "0123456789abcdef"[byte & 15];
	}
	out[7] = '\0';
}

/* Hue in degrees; the formula of CSS Color 4, section 7.1. */
static double hsl_part(double hue, double saturation, double lightness, double n)
{
	double k = fmod(n + hue / 30, 12);
	double a = saturation * fmin(lightness, 1 - lightness);

	return lightness - a * fmax(-1, fmin(fmin(k - 3, 9 - k), 1));
}

static void hsl_put(double hue, double saturation, double lightness, char out[SVG_COLOUR_BYTES])
{
	colour_put(hsl_part(hue, saturation, lightness, 0), hsl_part(hue, saturation, lightness, 8),
		   hsl_part(hue, saturation, lightness, 4), out);
}

static unsigned int hash_of(struct request_text text)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < text.bytes; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * 16777619U;
	return hash ^ hash >> 15;
}

void svg_colour_of_function(const struct profile_function *function, char out[SVG_COLOUR_BYTES])
{
	unsigned int hash = hash_of(function->file);

	switch (function->kind) {
	case PROFILE_PYTHON:
		/* From red over yellow to green: the others are the blues and greys. */
		hsl_put(hash % 140, 0.70 + 0.05 * (hash / 140 % 3), 0.66 + 0.05 * (hash / 420 % 3),
			out);
		break;
	case PROFILE_NATIVE:
		hsl_put(200, 0.35, 0.75, out);
		break;
	case PROFILE_KERNEL:
		hsl_put(270, 0.35, 0.80, out);
		break;
	case PROFILE_STATE:
		svg_colour_of_state(function->state, out);
		break;
	default:
		hsl_put(0, 0, 0.86, out);
	}
}

void svg_colour_of_state(enum request_state state, char out[SVG_COLOUR_BYTES])
{
	static const char *const colours[REQUEST_STATES] = {
		[REQUEST_CPU] = "#f2a65e",	    [REQUEST_RUNNABLE] = "#f2d65e",
		[REQUEST_GIL] = "#e58a8a",	    [REQUEST_SOCKET_READ] = "#7fb3e6",
		[REQUEST_SOCKET_WRITE] = "#7fd6d6", [REQUEST_FILE] = "#8fce8f",
		[REQUEST_LOCK] = "#d69be0",	    [REQUEST_SLEEP] = "#c9c9d6",
		[REQUEST_OTHER] = "#d9cbb0",
	};

	memcpy(out, colours[state], SVG_COLOUR_BYTES);
}

void svg_colour_of_growth(double growth, char out[SVG_COLOUR_BYTES])
{
	double fade = 1 - fmin(1, 3 * sqrt(fabs(growth))); /* small changes are seen too */

	if (growth > 0)
		colour_put(1, 0.35 + 0.65 * fade, 0.35 + 0.65 * fade, out);
	else
		colour_put(0.4 + 0.6 * fade, 0.55 + 0.45 * fade, 1, out);
}
