/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the threads that close links, and knows why there are any: for each link the kernel waits
 * until whoever may still run the program has left it (perf_event_detach_bpf_prog(), tens of
 * milliseconds). Those waits pass together where they begin together.
 */
#include "links.h"

#include <pthread.h>
#include <stdbool.h>

#include <bpf/libbpf.h>

#define THREADS_MAX 64

static void *link_destroy(void *link)
{
	bpf_link__destroy(link);
	return NULL;
}

/* At most THREADS_MAX; one for which there is no thread is closed here. */
static void batch_destroy(struct bpf_link **links, size_t count)
{
	pthread_t threads[THREADS_MAX];
	bool running[THREADS_MAX];

	for (size_t i = 0; i < count; i++)
		running[i] = links[i] && !pthread_create(&threads[i], NULL, link_destroy, links[i]);
	for (size_t i = 0; i < count; i++) {
		if (running[i])
			pthread_join(threads[i], NULL);
		else
			bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

void links_destroy(struct bpf_link **links, size_t count)
{
	for (size_t done = 0; done < count; done += THREADS_MAX)
		batch_destroy(links + done,
			      count - done < THREADS_MAX ? count - done : THREADS_MAX);
}
