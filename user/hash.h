/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A quick hash of bytes that a stranger may have chosen: without the seed nobody can make keys that
 * all fall into one slot on purpose. Not for secrets.
 */
#ifndef WSGISCOPE_HASH_H
#define WSGISCOPE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static inline uint64_t hash_seed(void)
{
	struct timespec now;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		return seed;
	clock_gettime(CLOCK_MONOTONIC, &now); /* early in boot: the next best */
	return (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Folded multiplication of eight bytes at a time, as wyhash and others do. */
static inline uint32_t hash_bytes(uint64_t seed, const void *key, size_t bytes)
{
	const unsigned char *at = key;
	uint64_t hash = seed ^ bytes, word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = hash_mix(hash ^ word, UINT64_C(0xa0761d6478bd642f));
	}
	word = 0;
	for (size_t i = 0; i < bytes; i++)
		word = word << 8 | at[i];
	hash = hash_mix(hash ^ word, UINT64_C(0xe7037ed1a0b428db));
	return (uint32_t)(hash ^ hash >> 32);
}

#endif
