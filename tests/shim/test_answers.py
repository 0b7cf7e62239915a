# SPDX-License-Identifier: BSD-2-Clause
"""Every way in which an application can answer: what the server sees, what the marks say."""

import collections.abc
import copy
import io
import pickle
import threading
import time
import wsgiref.util

import pytest
from answers import BLOCKS, Closing, Iterable, Iterator, Sequence, Sized, answering, call
from miniserver import Server, make_environ, nap, napped, near, serve
from wsgiscope import mark

SLEEP_S = 0.05


@pytest.mark.parametrize("answer, end", [
    (lambda: list(BLOCKS), {"EXHAUSTED"}),
    (lambda: tuple(BLOCKS), {"EXHAUSTED"}),
    (lambda: iter(BLOCKS), {"EXHAUSTED"}),
    (lambda: (b for b in BLOCKS), {"EXHAUSTED", "CLOSED"}),
    (lambda: map(bytes, BLOCKS), {"EXHAUSTED"}),
    (lambda: Iterable(BLOCKS), {"EXHAUSTED"}),
    (lambda: Closing(BLOCKS), {"EXHAUSTED", "CLOSED"}),
    (lambda: Sized(BLOCKS), {"EXHAUSTED"}),
    (lambda: Iterator(BLOCKS), {"EXHAUSTED"}),
    (lambda: Sequence(BLOCKS), {"EXHAUSTED"}),
    (lambda: io.BytesIO(b"a\nbcde\nf"), {"EXHAUSTED", "CLOSED"}),
    (lambda: wsgiref.util.FileWrapper(io.BytesIO(b"abcdef"), 2), {"EXHAUSTED", "CLOSED"}),
])
def test_every_block_is_counted(traced, answer, end):
    body = serve(answering(answer))
    assert body == list(answer())
    assert traced.end.blocks == len(body)
    assert traced.end.bytes == len(b"".join(body))
    assert traced.end.flags == end
    assert traced.end.exception is None


@pytest.mark.parametrize("answer", [[], (), iter([]), (b for b in ())])
def test_empty_body(traced, answer):
    assert serve(answering(answer)) == []
    assert (traced.end.blocks, traced.end.bytes, traced.end.first_block_ns) == (0, 0, 0)
    assert "EXHAUSTED" in traced.end.flags


def test_times_of_application_and_output(traced):
    @mark
    def app(environ, start_response):
        nap(SLEEP_S, "first")
        start_response("200 OK", [])
        yield b"1"
        nap(SLEEP_S, "second")
        yield b"2"

    server = Server(app, write_s=2 * SLEEP_S)
    before = time.monotonic_ns()
    server.run()
    after = time.monotonic_ns()
    end = traced.end
    assert before <= end.start_ns <= end.end_ns <= after
    assert near(end.output_ns, napped["write"])
    assert near(end.end_ns - end.start_ns, sum(napped.values()))
    assert near(end.first_block_ns - end.start_ns, napped["first"])


@pytest.mark.parametrize("answer", [[b"1", b"2"], (b"1", b"2"), Sized([b"1", b"2"])])
def test_output_time_of_ready_blocks(traced, answer):
    Server(answering(answer), write_s=SLEEP_S).run()
    assert near(traced.end.output_ns, napped["write"])
    assert traced.end.output_ms <= traced.end.application_ms


def test_time_between_the_end_and_close_is_application_time_not_output(traced):
    result = call(answering(lambda: (b for b in [b"1"])))
    list(result)
    time.sleep(SLEEP_S)
    result.close()
    assert traced.end.output_ms < SLEEP_S * 1e3 <= traced.end.application_ms


def test_output_time_agrees_with_the_clock_of_the_server(traced):
    spent = []

    def write_all(result):
        for _ in result:
            begin = time.monotonic_ns()
            while time.monotonic_ns() < begin + 200_000:
                pass
            spent.append(time.monotonic_ns() - begin)

    write_all(call(answering(lambda: [b"x"] * 200)))
    # What lies between the two clocks is the mark and, now and then, another process.
    assert 0 <= traced.end.output_ns - sum(spent) < 0.5 * sum(spent)


def test_block_marks(blocks_traced):
    @mark
    def app(environ, start_response):
        nap(SLEEP_S, "one")
        start_response("200 OK", [])
        yield b"one"
        written.append(napped.pop("write"))
        nap(2 * SLEEP_S, "two")
        yield b"three"
        written.append(napped.pop("write"))
        nap(SLEEP_S, "after")

    written = []
    Server(app, write_s=3 * SLEEP_S).run()
    blocks = blocks_traced.of("block")
    end = blocks_traced.end
    assert [m.kind for m in blocks_traced.marks] == ["start", "block", "block", "end"]
    assert [b.block_bytes for b in blocks] == [3, 5]
    assert [b.blocks for b in blocks] == [1, 2]
    assert near(blocks[0].block_app_ns, napped["one"])
    assert near(blocks[1].block_app_ns, napped["two"])
    assert [b.id for b in blocks] == [end.id, end.id]
    assert near(blocks[0].block_output_ns, written[0])
    assert near(blocks[1].block_output_ns, written[1])
    assert abs(sum(b.block_output_ns for b in blocks) - end.output_ns) < 100_000


def test_block_marks_of_a_list_fire_before_the_end(blocks_traced):
    serve(answering([b"1", b"22"]))
    assert [m.kind for m in blocks_traced.marks] == ["start", "block", "block", "end"]
    assert [b.block_bytes for b in blocks_traced.of("block")] == [1, 2]


# --- what the server can tell of the answer -----------------------------------------------------


@pytest.mark.parametrize("answer, sized", [
    ([b"x"], True), ((b"x",), True), (Sized([b"x"]), True), (Iterable([b"x"]), False),
    (Iterator([b"x"]), False), (iter([b"x"]), False),
])
def test_length_where_the_original_has_it(traced, answer, sized):
    result = call(answering(answer))
    assert result is not answer
    assert hasattr(result, "__len__") == sized
    assert isinstance(result, collections.abc.Sized) == sized
    if sized:
        assert len(result) == 1
    else:
        with pytest.raises(TypeError):
            len(result)


@pytest.mark.parametrize("answer", [
    [b"x"], (b"x",), Iterable([b"x"]), Closing([b"x"]), Sized([b"x"]), Iterator([b"x"]),
    iter([b"x"]), (b for b in [b"x"]), io.BytesIO(b"x"), map(bytes, [b"x"]), {b"x": 1},
])
def test_answer_looks_like_the_original(traced, answer):
    result = call(answering(answer))
    assert isinstance(result, type(answer)) and isinstance(result, collections.abc.Iterable)
    for protocol in (collections.abc.Iterator, collections.abc.Sized, collections.abc.Generator):
        assert isinstance(result, protocol) == isinstance(answer, protocol), protocol
    for name in ("close", "__len__", "__next__", "__iter__", "__getitem__", "send", "fileno"):
        assert hasattr(result, name) == hasattr(answer, name), name
    assert bool(result) == bool(answer)
    assert result == answer and not result != answer
    assert repr(result) == repr(answer)


def test_items_can_be_set_and_deleted_where_the_original_takes_them(traced):
    """As the headers of Django's HttpResponse."""
    answer = {b"x": 1}
    result = call(answering(answer))
    result[b"y"] = 2
    assert answer == {b"x": 1, b"y": 2}
    del result[b"x"]
    assert answer == {b"y": 2}
    with pytest.raises(KeyError):
        del result[b"x"]
    with pytest.raises(TypeError, match="'Iterable' object does not support item assignment"):
        call(answering(Iterable([b"x"])))[0] = 1


def test_containment_is_the_originals(traced):
    """As of Django's HttpResponse, which has headers in it and blocks in its iteration."""
    class Response(Closing):
        def __contains__(self, header):
            return header == "Vary"

    result = call(answering(Response([b"x"])))
    assert "Vary" in result and b"x" not in result
    assert b"x" in call(answering(Iterable([b"x"])))


def test_bytes_are_those_of_the_original(traced):
    """As of Django's HttpResponse; without __bytes__, Python takes an iterable's integers."""
    class Response(Closing):
        def __bytes__(self):
            return b"HTTP/1.1 200 OK"

    assert bytes(call(answering(Response([b"x"])))) == b"HTTP/1.1 200 OK"
    assert bytes(call(answering(Iterable([65, 66])))) == b"AB"
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        bytes(call(answering(Iterable([b"x"]))))


def test_attributes_are_the_originals(traced):
    answer = Closing([b"x"])
    result = call(answering(answer))
    result.status_code = 404
    assert answer.status_code == result.status_code == 404
    del result.status_code
    with pytest.raises(AttributeError, match="'Closing' object has no attribute 'status_code'"):
        result.status_code
    assert hash(result) == hash(answer)


def test_list_is_a_list(traced):
    answer = [b"a", b"b"]
    result = call(answering(answer))
    assert isinstance(result, list) and result[0] == b"a" and result[:] == answer
    assert type(copy.copy(result)) is list and copy.deepcopy(result) == answer
    assert pickle.loads(pickle.dumps(result)) == answer
    result.append(b"c")
    assert b"".join(result) == b"abc" and answer == [b"a", b"b"]
    assert (traced.end.blocks, traced.end.bytes) == (3, 3)


def test_list_of_which_the_items_are_taken_without_iterating(traced):
    result = call(answering([b"only"]))
    assert result[0] == b"only"
    assert traced.of("end") == []
    del result
    assert traced.end.flags == {"BLOCKS_UNSEEN", "END_INFERRED"}


def test_list_subclass_keeps_its_own_ways(traced):
    class Doubled(list):
        def __iter__(self):
            return (b * 2 for b in list.__iter__(self))

        def close(self):
            self.closed = True

    answer = Doubled([b"a"])
    result = call(answering(answer))
    assert isinstance(result, Doubled) and len(result) == 1
    assert list(result) == [b"aa"]
    result.close()
    assert answer.closed and traced.end.bytes == 2


def test_iterating_twice_counts_twice(traced):
    answer = Closing([b"ab"])
    result = call(answering(answer))
    assert list(result) == list(result) == [b"ab"]
    result.close()
    assert (traced.end.blocks, traced.end.bytes) == (2, 4)


@pytest.mark.parametrize("answer", [
    lambda: list(BLOCKS), lambda: tuple(BLOCKS), lambda: Closing(BLOCKS), lambda: Sized(BLOCKS)])
def test_looking_through_it_meanwhile_counts_nothing(traced, answer):
    """gevent adds up the length of a body that it has begun to send."""
    result = call(answering(answer))
    taken = []
    for block in result:
        assert sum(map(len, result)) == len(b"".join(BLOCKS))
        taken.append(block)
    assert taken == BLOCKS
    getattr(result, "close", lambda: None)()
    assert (traced.end.blocks, traced.end.bytes) == (len(BLOCKS), len(b"".join(BLOCKS)))
    assert "EXHAUSTED" in traced.end.flags


def test_next_without_iter(traced):
    result = call(answering(lambda: (b for b in BLOCKS)))
    assert next(result) == b"a" and result.__next__() == b""
    result.close()
    assert (traced.end.blocks, traced.end.flags) == (2, {"CLOSED"})


@pytest.mark.parametrize("body, flag", [
    (b"a body", "BYTES"), ("a body", "STR"), (type("B", (bytes,), {})(b"a body"), "BYTES"),
])
def test_body_itself_goes_untouched(traced, body, flag):
    assert call(answering(body)) is body
    assert traced.end.flags == {flag}
    assert (traced.end.blocks, traced.end.bytes, traced.end.output_ns) == (1, 6, 0)
    assert traced.end.start_ns < traced.end.first_block_ns <= traced.end.end_ns


@pytest.mark.parametrize("answer", [None, 7])
def test_answer_that_is_no_iterable(traced, answer):
    with pytest.raises(TypeError, match="'%s' object is not iterable" % type(answer).__name__):
        serve(answering(answer))
    assert traced.end.blocks == 0


def test_blocks_that_are_not_bytes(traced):
    class Sly:
        def __len__(self):
            raise RuntimeError("never seen")

    body = [bytearray(b"abc"), memoryview(b"de"), "str", 5, Sly()]
    assert serve(answering(body)) == body
    assert (traced.end.blocks, traced.end.bytes) == (5, 8)


# --- close() ------------------------------------------------------------------------------------


def test_close_is_forwarded_each_time_and_ends_once(traced):
    answer = Closing([b"x"])
    result = call(answering(answer))
    list(result)
    assert traced.of("end") == []
    result.close()
    result.close()
    assert answer.closed == 2
    assert traced.end.flags == {"EXHAUSTED", "CLOSED"}


def test_close_takes_arguments_and_returns_as_the_original(traced):
    class Odd(Iterable):
        def close(self, *args, **kwargs):
            return args, kwargs

    assert call(answering(Odd([]))).close(1, two=2) == ((1,), {"two": 2})
    assert traced.end.flags == {"CLOSED"}


def test_close_before_the_end(traced):
    result = call(answering(lambda: (b for b in BLOCKS)))
    iterator = iter(result)
    next(iterator)
    nap(SLEEP_S, "held")
    result.close()
    assert traced.end.flags == {"CLOSED"}
    assert traced.end.blocks == 1 and near(traced.end.output_ns, napped["held"])
    assert list(iterator) == []


def test_close_in_another_thread(traced):
    answer = Closing([b"x", b"y"])
    result = call(answering(answer))
    next(iter(result))
    thread = threading.Thread(target=result.close)
    thread.start()
    thread.join()
    assert (answer.closed, traced.end.flags, traced.end.blocks) == (1, {"CLOSED"}, 1)


def test_time_in_close_is_application_time(traced):
    @mark
    def app(environ, start_response):
        try:
            yield b"x"
        finally:
            nap(SLEEP_S, "close")

    result = call(app)
    next(iter(result))
    result.close()
    assert near(traced.end.end_ns - traced.end.start_ns, napped["close"])
    assert traced.end.output_ms < SLEEP_S * 1e3


@pytest.mark.parametrize("answer", [lambda: Closing(BLOCKS), lambda: (b for b in BLOCKS)])
def test_never_closed(traced, answer):
    result = call(answering(answer))
    iterator = iter(result)
    next(iterator)
    del result
    assert traced.of("end") == []
    del iterator
    assert traced.end.flags == {"UNCLOSED"} and traced.end.blocks == 1


def test_exhausted_and_never_closed(traced):
    result = call(answering(lambda: (b for b in BLOCKS)))
    assert list(result) == BLOCKS
    del result
    assert traced.end.flags == {"EXHAUSTED", "END_INFERRED"}


def test_never_iterated(traced):
    call(answering(lambda: (b for b in BLOCKS)))
    assert traced.end.flags == {"UNCLOSED"} and traced.end.blocks == 0


def test_a_list_that_the_application_keeps_is_left_as_it_is(traced):
    kept = [b"one", b"two"]
    for _ in range(2):
        assert list(call(mark(answering(kept)))) == kept == [b"one", b"two"]


def test_a_list_that_the_application_gives_away_is_whole(traced):
    def app(environ, start_response):
        start_response("200 OK", [])
        body = [b"%d" % i for i in range(10)]
        body.pop()
        return body

    result = mark(app)(make_environ(), lambda *_: None)
    assert len(result) == 9 and b"".join(result) == b"012345678"
    result.append(b"more")  # as the server may: a list of its own
    assert result[-1] == b"more" and result == [b"%d" % i for i in range(9)] + [b"more"]
