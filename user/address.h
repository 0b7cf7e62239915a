/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HOST:PORT as users give it, to a socket address. An IPv6 host stands in brackets.
 */
#ifndef WSGISCOPE_ADDRESS_H
#define WSGISCOPE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_HOST_BYTES  256
#define ADDRESS_SHOWN_BYTES 64

struct address {
	struct sockaddr_storage socket;
	socklen_t bytes; /* used of socket */
};

/* Whether the text is of the form HOST:PORT, PORT 1 to 65535 (0 too where any is meant). */
bool address_is_sound(const char *text);

/* Looks a sound text's host up; the first answer. 0 or -errno, message printed (what: "--listen").
 */
int address_resolve(const char *what, const char *text, struct address *out);

/* Whether only this machine can reach it. */
bool address_is_loopback(const struct address *address);

/* As "127.0.0.1:9748" or "[::1]:9748"; "" where it is of no such kind. */
void address_show(const struct address *address, char out[ADDRESS_SHOWN_BYTES]);

#endif
