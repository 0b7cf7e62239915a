# SPDX-License-Identifier: BSD-2-Clause
"""The rival: WSGI timing as Python middleware of the 2015 kind, written for this comparison.

An object proxy (wrapt) around the iterable, a generator that takes the time between handing a
block over and being asked for the next one, and a report when the server calls close(): to no one,
to StatsD over UDP, to prometheus_client. The reports are lean (no labels, no client library for
StatsD), so that the rival is not made slower than it has to be.
"""
import time

import wrapt


class Transaction:
    """What is counted of one request."""

    __slots__ = ("start", "output_time", "blocks", "length")

    def __init__(self):
        self.start = time.perf_counter()
        self.output_time = 0.0
        self.blocks = 0
        self.length = 0


class TimedIterable(wrapt.ObjectProxy):
    """The application's iterable, with its blocks timed."""

    def __init__(self, wrapped, transaction, report):
        super().__init__(wrapped)
        self._self_transaction = transaction
        self._self_report = report

    def __iter__(self):
        transaction = self._self_transaction
        start = None
        try:
            for block in self.__wrapped__:
                transaction.blocks += 1
                transaction.length += len(block)
                start = time.perf_counter()
                yield block
                transaction.output_time += time.perf_counter() - start
                start = None
        finally:
            if start is not None:
                transaction.output_time += time.perf_counter() - start

    def close(self):
        try:
            if hasattr(self.__wrapped__, "close"):
                self.__wrapped__.close()
        finally:
            self._self_report(self._self_transaction)


def timed(application, report):
    """application, with report(transaction) called as each request ends."""

    def wrapper(environ, start_response):
        transaction = Transaction()
        try:
            iterable = application(environ, start_response)
        except BaseException:
            report(transaction)
            raise
        return TimedIterable(iterable, transaction, report)

    return wrapper


def report_nothing(transaction):
    """Takes the application's time and keeps it to itself."""
    return time.perf_counter() - transaction.start


def statsd_report(sock, address):
    """A report that sends the five metrics of 2015, a datagram each."""
    name = "wsgi.application.requests"

    def report(transaction):
        seconds = time.perf_counter() - transaction.start
        for metric in (
            f"{name}:1|c",
            f"{name}.application_time:{1000 * seconds:f}|ms",
            f"{name}.output_time:{1000 * transaction.output_time:f}|ms",
            f"{name}.output_blocks:{transaction.blocks}|h",
            f"{name}.output_length:{transaction.length}|h",
        ):
            sock.sendto(metric.encode(), address)

    return report


def prometheus_report():
    """A report into prometheus_client's default registry."""
    import prometheus_client

    requests = prometheus_client.Counter("wsgi_requests", "Requests")
    application = prometheus_client.Histogram("wsgi_application_seconds", "Application time")
    output = prometheus_client.Histogram("wsgi_output_seconds", "Output time")
    blocks = prometheus_client.Counter("wsgi_output_blocks", "Blocks")
    length = prometheus_client.Counter("wsgi_output_bytes", "Bytes")

    def report(transaction):
        application.observe(time.perf_counter() - transaction.start)
        output.observe(transaction.output_time)
        requests.inc()
        blocks.inc(transaction.blocks)
        length.inc(transaction.length)

    return report
