/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: how a request's target becomes the path that the application gets (PEP 3333: SCRIPT_NAME
 * and PATH_INFO, percent-decoded, without the query), in the common way and in each server's. Must
 * not know which server has which rules (user/servers/), nor where a target stands in a request.
 */
#include <string.h>

#include "hash.h"
#include "utf8.h"
#include "wire/parts.h"

/* The path as it grows. */
struct path {
	uint32_t rules;
	size_t segment; /* where in text the segment being read begins */
	size_t bytes;	/* of text */
	bool coded;	/* a byte of the segment was written as %XX */
	bool cut;
	char text[WIRE_PATH_MAX];
};

static void path_byte(struct path *path, char byte)
{
	if (path->bytes < sizeof(path->text))
		path->text[path->bytes++] = byte;
	else
		path->cut = true;
}

static bool segment_is(const struct path *path, const char *dots)
{
	return path->bytes - path->segment == strlen(dots) &&
	       !memcmp(path->text + path->segment, dots, strlen(dots));
}

/* The segment being read ends. True: it was "." or "..", and is gone with its slash. */
static bool segment_resolve(struct path *path)
{
	bool up = segment_is(path, "..");

	if (!(path->rules & (WIRE_PATH_DOTS | WIRE_PATH_CODED_DOTS)) ||
	    (path->coded && !(path->rules & WIRE_PATH_CODED_DOTS)) ||
	    (!up && !segment_is(path, ".")))
		return false;
	path->bytes = path->segment;
	if (up && path->bytes > 1) {
		path->bytes--;
		while (path->bytes && path->text[path->bytes - 1] != '/')
			path->bytes--;
	}
	return true;
}

static void path_slash(struct path *path)
{
	bool doubled =
		path->bytes && path->text[path->bytes - 1] == '/' && path->segment == path->bytes;

	if (!segment_resolve(path) &&
	    !(doubled && (path->rules & WIRE_PATH_MERGE_SLASHES ||
			  (path->rules & WIRE_PATH_ONE_SLASH && path->bytes == 1))))
		path_byte(path, '/');
	path->segment = path->bytes;
	path->coded = false;
}

/* A byte as it stands in the target, not a slash. */
static void path_raw(struct path *path, char byte)
{
	char utf8[UTF8_BYTES_MAX];
	size_t n;

	if (!(path->rules & WIRE_PATH_LATIN1) || (unsigned char)byte < 0x80) {
		path_byte(path, byte);
		return;
	}
	n = utf8_put(utf8, (unsigned char)byte);
	for (size_t i = 0; i < n; i++)
		path_byte(path, utf8[i]);
}

/* At a %: takes the code behind it, where there is one. How many bytes of the target. */
static size_t path_code(struct path *path, struct wire_bytes target)
{
	int high = wire_bytes_left(&target) > 2 ? wire_hex_value(target.at[1]) : -1;
	int low = high >= 0 ? wire_hex_value(target.at[2]) : -1;

	if (low < 0) {
		path_byte(path, '%');
		return 1;
	}
	path->coded = true;
	if (path->rules & WIRE_PATH_KEEP_SLASH_CODE && high * 16 + low == '/') {
		for (const char *c = "%2F"; *c; c++)
			path_byte(path, *c);
	} else {
		path_byte(path, (char)(high * 16 + low));
	}
	return 3;
}

static bool is_scheme(struct wire_bytes name)
{
	if (name.at == name.end)
		return false;
	for (const char *c = name.at; c < name.end; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		bool other = (*c >= '0' && *c <= '9') || *c == '+' || *c == '-' || *c == '.';

		if (!letter && (c == name.at || !other))
			return false;
	}
	return true;
}

/* The authority of "scheme://authority/path"; of another target empty, at its beginning. */
static struct wire_bytes authority_find(struct wire_bytes target)
{
	const char *colon = memchr(target.at, ':', wire_bytes_left(&target));
	struct wire_bytes authority = {target.at, target.at};

	if (!colon || target.end - colon < 3 || memcmp(colon, "://", 3) ||
	    !is_scheme((struct wire_bytes){target.at, colon}))
		return authority;
	authority.at = authority.end = colon + 3;
	while (authority.end < target.end && *authority.end != '/')
		authority.end++;
	return authority;
}

/* "user:password@" of it: a credential, which is no part of any path that is shown. */
static struct wire_bytes userinfo_find(struct wire_bytes authority)
{
	const char *at = memrchr(authority.at, '@', wire_bytes_left(&authority));

	authority.end = at ? at + 1 : authority.at;
	return authority;
}

static struct wire_bytes query_cut(struct wire_bytes target, uint32_t rules)
{
	for (const char *c = target.at; c < target.end; c++)
		if (*c == '?' || (*c == '#' && !(rules & WIRE_PATH_KEEP_FRAGMENT)))
			target.end = c;
	return target;
}

void wire_path_put(struct wire_request_head *head, struct wire_bytes target, uint32_t rules)
{
	struct path path = {.rules = rules};
	struct wire_bytes authority, userinfo;

	target = query_cut(target, rules);
	authority = authority_find(target);
	userinfo = userinfo_find(authority);
	if (!(rules & WIRE_PATH_KEEP_SCHEME))
		target.at = authority.end;
	while (target.at < target.end && !path.cut) {
		if (target.at == userinfo.at && userinfo.at < userinfo.end) {
			target.at = userinfo.end;
			continue;
		}
		if (*target.at == '%') {
			target.at += path_code(&path, target);
			continue;
		}
		if (*target.at == '/')
			path_slash(&path);
		else
			path_raw(&path, *target.at);
		target.at++;
	}
	if (!path.cut)
		segment_resolve(&path);
	if (!path.bytes && rules & WIRE_PATH_MERGE_SLASHES)
		path_byte(&path, '/');
	wire_text_put(head, WIRE_PATH, (struct wire_bytes){path.text, path.text + path.bytes});
	head->kept[WIRE_PATH].cut |= path.cut;
}

void wire_path_join(struct wire_request_head *head, struct wire_bytes part, size_t room)
{
	if (wire_bytes_left(&part) > room) {
		part.end = part.at + room;
		head->kept[WIRE_PATH].cut = true;
	}
	wire_text_put(head, WIRE_PATH, part);
}

/* Some front ends leave out scheme and host, where they were sent. */
void wire_asked_put(struct wire_request_head *head, struct wire_bytes target)
{
	target.at = authority_find(target).end;
	head->asked = hash_bytes(0, target.at, wire_bytes_left(&target));
	head->asked += !head->asked; /* 0 is for not known */
}
