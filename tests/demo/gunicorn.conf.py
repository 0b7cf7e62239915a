# SPDX-License-Identifier: BSD-2-Clause
"""gunicorn's side of the demo: says when a worker has loaded the application."""


def post_worker_init(worker):
    worker.log.info("Worker ready: %d", worker.pid)
