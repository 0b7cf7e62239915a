/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the form HOST:PORT. The system's resolver does the rest.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* The text's two parts; port points into text. */
static bool address_split(const char *text, char host[ADDRESS_HOST_BYTES], const char **port)
{
	const char *end = strrchr(text, ':');
	size_t bytes;

	if (!end || end == text)
		return false;
	*port = end + 1;
	bytes = (size_t)(end - text);
	if (text[0] == '[') {
		if (bytes < 3 || text[bytes - 1] != ']')
			return false;
		text++;
		bytes -= 2;
	} else if (memchr(text, ':', bytes)) {
		return false; /* which colon ends the host cannot be told */
	}
	if (bytes >= ADDRESS_HOST_BYTES)
		return false;
	memcpy(host, text, bytes);
	host[bytes] = '\0';
	return true;
}

bool address_is_sound(const char *text)
{
	char host[ADDRESS_HOST_BYTES];
	const char *port;
	size_t digits;

	if (!address_split(text, host, &port))
		return false;
	digits = strspn(port, "0123456789");
	return digits && digits <= 5 && !port[digits] && atoi(port) <= 65535;
}

int address_resolve(const char *what, const char *text, struct address *out)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char host[ADDRESS_HOST_BYTES];
	const char *port;
	int answer;

	if (!address_split(text, host, &port))
		return -EINVAL;
	answer = getaddrinfo(host, port, &hints, &found);
	if (answer) {
		log_error("%s %s: %s; give a host's name or number that is known here", what, text,
			  answer == EAI_SYSTEM ? strerror(errno) : gai_strerror(answer));
		return -EADDRNOTAVAIL;
	}
	memset(out, 0, sizeof(*out));
	memcpy(&out->socket, found->ai_addr, found->ai_addrlen);
	out->bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

bool address_is_loopback(const struct address *address)
{
	const struct sockaddr_in *inet = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *inet6 = (const struct sockaddr_in6 *)&address->socket;

	if (address->socket.ss_family == AF_INET)
		return ntohl(inet->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address->socket.ss_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&inet6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&inet6->sin6_addr) &&
		inet6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}

void address_show(const struct address *address, char out[ADDRESS_SHOWN_BYTES])
{
	char host[INET6_ADDRSTRLEN], port[8];
	bool inet6 = address->socket.ss_family == AF_INET6;

	out[0] = '\0';
	if (getnameinfo((const struct sockaddr *)&address->socket, address->bytes, host,
			sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(out, ADDRESS_SHOWN_BYTES, inet6 ? "[%s]:%s" : "%s:%s", host, port);
}
