/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the step from what python/ finds to what the kernel side has room for.
 */
#include <string.h>

#include "interpreter.h"
#include "log.h"
#include "python/gil.h"
#include "python/locate.h"
#include "tracer.h"
#include "worker.h"

void interpreter_gils(const struct worker *worker, struct tracer_process *told)
{
	struct python_location where;
	struct gil_place places[GIL_PLACES_MAX];
	int count;

	if (worker->python != PYTHON_CPYTHON || python_locate(worker, &where))
		return;
	count = gil_find_all(worker->pid, &where, places);
	if (count < 1)
		return;
	memset(told->gil, 0, sizeof(told->gil));
	told->gil_bytes = 0;
	if (places[0].state != GIL_KNOWN || count > TRACER_GILS_MAX) {
		log_debug("the GIL of process %d: %s", worker->pid,
			  places[0].why ? places[0].why : "too many interpreters with their own");
		return;
	}
	told->gil_bytes = places[0].bytes;
	for (int i = 0; i < count; i++)
		told->gil[i] = places[i].address;
}
