/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as what HTTP clients and command lines give us as text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "exposition.h"
#include "gzip.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1);

	if (!text)
		abort();
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	log_level_set(LOG_LEVEL_NONE);
	gzip_is_accepted(text);
	address_is_sound(text);
	if (exposition_choose(text) > EXPOSITION_OPENMETRICS)
		abort();
	free(text);
	return 0;
}
