# SPDX-License-Identifier: BSD-2-Clause
"""Reads a page on stdin as OpenMetrics 1.0, strictly; then checks what a reader relies on."""
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
seen = set()
for family in families:
    for sample in family.samples:
        key = sample.name, tuple(sorted(sample.labels.items()))
        if key in seen:
            sys.exit(f"twice: {key}")
        seen.add(key)
        if sample.exemplar and set(sample.exemplar.labels) != {"trace_id"}:
            sys.exit(f"exemplar: {sample}")

values = {family.name: family.samples for family in families}
requests = sum(s.value for s in values["wsgi_requests"] if s.name == "wsgi_requests_total")
timed = sum(s.value for s in values["http_server_request_duration_seconds"]
            if s.name.endswith("_count"))
untimed = sum(s.value for s in values["wsgiscope_unseen_values"]
              if s.labels["value"] == "application_time")
if requests != timed + untimed:
    sys.exit(f"{requests} requests, but {timed} with a time and {untimed} without")
