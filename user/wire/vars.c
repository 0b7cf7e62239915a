/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the variables by which a front end tells a worker of a request, named as in CGI (RFC 3875).
 * Must not know how a protocol packs them.
 */
#include "wire/parts.h"

void wire_var_take(struct wire_request_head *head, struct wire_vars *vars, struct wire_bytes key,
		   struct wire_bytes value)
{
	if (wire_bytes_are(key, "request_method"))
		vars->method = value;
	else if (wire_bytes_are(key, "script_name"))
		vars->script = value;
	else if (wire_bytes_are(key, "path_info"))
		vars->path = value;
	else if (wire_bytes_are(key, "request_uri"))
		vars->asked = value;
	else if (wire_bytes_are(key, "content_length"))
		vars->content_length = value;
	else if (wire_bytes_are(key, "http_x_request_start"))
		wire_queue_put(head, 2, value);
	else if (wire_bytes_are(key, "http_x_queue_start"))
		wire_queue_put(head, 1, value);
	else if (wire_bytes_are(key, "http_traceparent"))
		wire_traceparent_put(head, value);
}

void wire_vars_apply(struct wire_request_head *head, const struct wire_vars *vars)
{
	if (vars->method.at)
		wire_text_put(head, WIRE_METHOD, vars->method);
	if (vars->script.at)
		wire_path_join(head, vars->script, WIRE_SCRIPT_MAX);
	if (vars->path.at)
		wire_path_join(head, vars->path, WIRE_PATH_MAX);
	if (vars->asked.at)
		wire_asked_put(head, vars->asked);
	head->head_method = vars->method.at && wire_bytes_are(vars->method, "head");
	if (vars->content_length.at && vars->content_length.at < vars->content_length.end) {
		head->content_length = wire_number(vars->content_length);
		head->doubtful = head->content_length < 0;
	}
	head->line = vars->method.at && vars->path.at;
}
