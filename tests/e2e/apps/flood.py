# SPDX-License-Identifier: BSD-2-Clause
"""A marked application that nobody serves: it is called at once, with paths and routes of random
words that no shape can be read from. A line "COUNT SEED ROUTES" asks for so many requests, of which
every second has one of so many routes (0: none has); "done" answers."""
import random
import sys
import types

from wsgiscope import mark

LETTERS = "ghijklmnopqrstuvwxyz"  # no hexadecimal digit among them


@mark
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def word(rand):
    return "".join(rand.choices(LETTERS, k=rand.randrange(3, 9)))


def flood(count, seed, routes):
    rand = random.Random(seed)
    for i in range(count):
        environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "",
                   "PATH_INFO": "/" + "/".join(word(rand) for _ in range(rand.randrange(1, 6)))}
        if routes and i % 2:
            rule = "/%s/<int:number>" % word(random.Random(rand.randrange(routes)))
            environ["bottle.route"] = types.SimpleNamespace(rule=rule)
        for _ in application(environ, lambda status, headers, exc_info=None: None):
            pass


for line in sys.stdin:
    flood(*map(int, line.split()))
    print("done", flush=True)
