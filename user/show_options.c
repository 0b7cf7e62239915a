/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the words that options of several verbs take.
 */
#include "show_options.h"

const char *const mode_words[] = {
	[MODE_AUTO] = "auto",
	[MODE_MARKER] = "marker",
	[MODE_WIRE] = "wire",
	[MODE_BOTH] = "both",
	NULL,
};
