/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the label names and what bounds their values. Values are cleaned before they are compared,
 * so that two sets that look the same are the same one.
 */
#include "labels.h"

#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "text_buffer.h"

#define STATUS_ERROR_MIN 500
#define OTHER		 "other"

/* OpenTelemetry's known methods: RFC 9110 and PATCH. From 1: 0 is not known. */
static const char *const methods[] = {
	"_OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

static uint8_t method_of(struct request_text method)
{
	if (!method.ptr)
		return 0;
	for (size_t i = 1; i < METHOD_COUNT; i++) {
		if (strlen(methods[i]) == method.bytes &&
		    !memcmp(methods[i], method.ptr, method.bytes))
			return (uint8_t)(i + 1);
	}
	return 1;
}

static void value_set(struct label_value *value, const char *word)
{
	value->text = word;
	value->bytes = strlen(word);
}

/* Visible ASCII and spaces: nearly every value. */
static bool is_simple(struct request_text text)
{
	unsigned int odd = 0;

	for (size_t i = 0; i < text.bytes; i++)
		odd |= (unsigned char)(text.ptr[i] - ' ') > '~' - ' ';
	return !odd;
}

/* One character at text, as it can be shown; returns its length there, at most 12. */
static size_t character_clean(const char *text, size_t length, uint32_t code, char out[16])
{
	if (code == UINT32_MAX)
		return (size_t)snprintf(out, 16, "\\x%02x", (unsigned char)*text);
	if (code == ' ' || code == '\\' || escape_is_plain(text, length)) {
		memcpy(out, text, length);
		return length;
	}
	return (size_t)snprintf(out, 16, code < 0x80 ? "\\x%02x" : "\\u{%x}", code);
}

bool label_clean(struct label_value *value, struct request_text text)
{
	size_t used = 0;

	value_set(value, "");
	if (!text.ptr)
		return false;
	value->text = text.ptr;
	value->bytes = text.bytes;
	if (value->bytes > LABEL_BYTES_MAX) {
		value_set(value, OTHER);
		return true;
	}
	if (is_simple(text))
		return false;
	for (size_t i = 0; i < text.bytes;) {
		char clean[16];
		uint32_t code;
		size_t length = escape_next(text.ptr + i, text.bytes - i, &code);
		size_t bytes = character_clean(text.ptr + i, length, code, clean);

		if (used + bytes > LABEL_BYTES_MAX) {
			value_set(value, OTHER);
			return true;
		}
		memcpy(value->storage + used, clean, bytes);
		used += bytes;
		i += length;
	}
	value->text = value->storage;
	value->bytes = used;
	return false;
}

static void error_fill(struct labels *labels, const struct request *request)
{
	struct label_value *error = &labels->error;

	value_set(error, "");
	switch (request->outcome) {
	case OUTCOME_DISCONNECT:
		value_set(error, "disconnect");
		return;
	case OUTCOME_UNCLOSED:
		value_set(error, "unclosed");
		return;
	case OUTCOME_EXCEPTION:
		labels->cut |= label_clean(error, request->exception);
		if (!error->bytes) /* its class could not be read */
			value_set(error, "exception");
		return;
	default:
		break;
	}
	if (labels->status < STATUS_ERROR_MIN)
		return;
	error->bytes =
		(size_t)snprintf(error->storage, sizeof(error->storage), "%u", labels->status);
	error->text = error->storage;
}

void labels_fill(struct labels *labels, const struct request *request, struct request_text group)
{
	int64_t status = request->wire_status > 0 ? request->wire_status : request->status;

	labels->method = method_of(request->method);
	labels->mode = (uint8_t)request->mode;
	labels->is_route = request->route.ptr && request->route.bytes;
	labels->is_rest = 0;
	labels->status = status > 0 && status <= 999 ? (uint16_t)status : 0;
	labels->cut = label_clean(&labels->group, labels->is_route ? request->route : group);
	labels->cut |= label_clean(&labels->application, request->app);
	error_fill(labels, request);
}

void labels_make_other(struct labels *labels)
{
	labels->is_route = 0;
	value_set(&labels->group, OTHER);
}

void labels_rest(struct labels *labels)
{
	labels->method = 1;
	labels->mode = REQUEST_MARKER;
	labels->is_rest = 1;
	labels->status = 0;
	labels->cut = false;
	labels_make_other(labels);
	value_set(&labels->error, OTHER);
	value_set(&labels->application, OTHER);
}

static char *value_key(char *out, const struct label_value *value)
{
	uint16_t bytes = (uint16_t)value->bytes;

	memcpy(out, &bytes, sizeof(bytes));
	memcpy(out + sizeof(bytes), value->text, value->bytes);
	return out + sizeof(bytes) + value->bytes;
}

size_t labels_key(const struct labels *labels, char out[LABELS_KEY_BYTES])
{
	char *at = out;

	*at++ = (char)labels->method;
	*at++ = (char)labels->mode;
	*at++ = (char)labels->is_route;
	*at++ = (char)labels->is_rest;
	memcpy(at, &labels->status, sizeof(labels->status));
	at = value_key(at + sizeof(labels->status), &labels->group);
	at = value_key(at, &labels->error);
	at = value_key(at, &labels->application);
	return (size_t)(at - out);
}

void label_write(struct text_buffer *out, size_t begin, const char *name, const char *value,
		 size_t bytes)
{
	if (!bytes)
		return;
	if (out->bytes > begin)
		text_put(out, ",", 1);
	text_put_word(out, name);
	text_put(out, "=\"", 2);
	for (size_t i = 0; i < bytes; i++) {
		if (value[i] == '\n') { /* has been cleaned away where it came from a worker */
			text_put(out, "\\n", 2);
			continue;
		}
		if (value[i] == '"' || value[i] == '\\')
			text_put(out, "\\", 1);
		text_put(out, value + i, 1);
	}
	text_put(out, "\"", 1);
}

void labels_write(const struct labels *labels, struct text_buffer *out)
{
	const size_t begin = out->bytes;
	char status[8] = "";

	if (labels->method) {
		const char *method = methods[labels->method - 1];

		label_write(out, begin, "http_request_method", method, strlen(method));
	}
	if (labels->is_rest)
		snprintf(status, sizeof(status), OTHER);
	else if (labels->status)
		snprintf(status, sizeof(status), "%u", labels->status);
	label_write(out, begin, "http_response_status_code", status, strlen(status));
	label_write(out, begin, labels->is_route ? "http_route" : "path_group", labels->group.text,
		    labels->group.bytes);
	label_write(out, begin, "error_type", labels->error.text, labels->error.bytes);
	label_write(out, begin, "application", labels->application.text, labels->application.bytes);
	if (labels->mode == REQUEST_WIRE)
		label_write(out, begin, "mode", "wire", strlen("wire"));
}
