# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Prometheus on a free port, with a directory of its own, that scrapes one target every
second and evaluates our rules. Knows its HTTP API and nothing of what is scraped."""
import json
import os
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import procs
from servers import ROOT, free_port

PROGRAM = "/usr/bin/prometheus"
RULES = os.path.join(ROOT, "contrib/prometheus/wsgiscope.rules.yml")

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: wsgiscope
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """Use as a context. target: host:port."""

    def __init__(self, target, rules=RULES):
        self.directory = tempfile.TemporaryDirectory(prefix="wsgiscope-prometheus-")
        self.url = "http://127.0.0.1:%d" % free_port()
        self.log_path = os.path.join(self.directory.name, "log")
        config = os.path.join(self.directory.name, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(CONFIG.format(rules=rules, target=target))
        self.command = [PROGRAM, "--config.file=" + config,
                        "--storage.tsdb.path=" + os.path.join(self.directory.name, "data"),
                        "--web.listen-address=" + self.url.removeprefix("http://")]
        self.process = None

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        try:
            if not procs.until(self.is_ready, 30):
                raise RuntimeError("Prometheus is not ready:\n" + self.log())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def is_ready(self):
        try:
            return self.api("query", query='up{job="wsgiscope"} == 1')["result"] != []
        except (OSError, ValueError): # not yet listening, not yet ready
            return False

    def api(self, path, **arguments):
        """The data of an answer; ValueError with what Prometheus says is wrong."""
        url = "%s/api/v1/%s?%s" % (self.url, path, urllib.parse.urlencode(arguments))
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError("%s: %s" % (arguments, error.read().decode())) from error
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """[(labels, value)] now."""
        return [(each["metric"], float(each["value"][1]))
                for each in self.api("query", query=expression)["result"]]

    def value(self, expression):
        """The one value, None where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def range(self, expression, seconds, step=1):
        """[(labels, [value])] of the last so many seconds."""
        end = time.time()
        found = self.api("query_range", query=expression, start=end - seconds, end=end, step=step)
        return [(each["metric"], [float(value) for _, value in each["values"]])
                for each in found["result"]]
