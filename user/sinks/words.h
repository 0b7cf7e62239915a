/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that outputs share: outcomes, socket families, notes, losses. Static strings.
 */
#ifndef WSGISCOPE_SINKS_WORDS_H
#define WSGISCOPE_SINKS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "request.h"

const char *outcome_name(enum request_outcome outcome);
const char *family_name(enum request_family family); /* NULL: not seen */
const char *mode_name(enum request_mode mode);
const char *state_name(enum request_state state);

struct note_words {
	uint32_t bit;	  /* enum request_note */
	const char *name; /* in JSON, stable */
	const char *text; /* for people */
};

/* All notes in the order of their bits; ends with bit 0. */
extern const struct note_words note_words[];

/* What a loss of this name means and what to do; "" for a name not known here. */
const char *loss_advice(const char *name);

/* True where a loss of this name left a record all the same, with less in it. */
bool loss_is_recorded(const char *name);

/* The totals as lines, each with prefix before and a newline after it. */
void totals_print(FILE *out, const char *prefix, const struct request_totals *totals);

/* The same on stderr (sinks/totals.c). 0 or -ENOMEM. */
int totals_say(const struct request_totals *totals);

#endif
