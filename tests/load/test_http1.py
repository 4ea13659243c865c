"""The response parser, fed in every possible way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.simulator.reactor.http1 import HttpProtocolError, Response, ResponseParser

bodies = st.binary(max_size=200)


def sized(status: int, body: bytes, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Any\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def chunked(body: bytes, step: int) -> bytes:
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nA: b\r\n\r\n"


def fed(wire: bytes, cuts: list[int]) -> Response:
    parser = ResponseParser()
    marks = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    found = [parser.feed(wire[a:b]) for a, b in pairwise(marks)]
    assert all(response is None for response in found[:-1])
    last = found[-1]
    assert last is not None
    return last


@given(bodies, st.sampled_from([200, 404, 503]), st.lists(st.integers(0, 1000), max_size=8))
def test_any_split_of_a_sized_response_reads_the_same(
    body: bytes, status: int, cuts: list[int]
) -> None:
    """The network may cut anywhere; the response is whole at its last byte, not before."""
    response = fed(sized(status, body), cuts)
    assert (response.status, response.body, response.keep_alive) == (status, body, True)


@given(bodies, st.integers(1, 50), st.lists(st.integers(0, 1000), max_size=8))
def test_any_split_of_a_chunked_response_reads_the_same(
    body: bytes, step: int, cuts: list[int]
) -> None:
    """Chunk sizes, extensions and trailers may be cut too."""
    assert fed(chunked(body, step), cuts).body == body


@given(st.lists(st.integers(0, 300), max_size=6))
def test_interim_answers_are_passed_over(cuts: list[int]) -> None:
    """A 100 Continue is not the answer."""
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" + sized(200, b"ok", "Retry-After: 3\r\n")
    response = fed(wire, cuts)
    assert (response.status, response.retry_after) == (200, "3")


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """Neither length nor chunks: the answer is whole at the end of the connection only."""
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf") is None
    assert parser.feed(b" done") is None
    response = parser.eof()
    assert response is not None
    assert (response.body, response.keep_alive) == (b"half done", False)


@pytest.mark.parametrize(
    "wire, keeps",
    [
        (sized(200, b"", "Connection: close\r\n"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_whether_the_connection_lives_on_is_the_targets_word(wire: bytes, keeps: bool) -> None:
    """`Connection: close`, HTTP/1.0 and bodiless answers each have their rule."""
    response = ResponseParser().feed(wire)
    assert response is not None
    assert response.keep_alive is keeps


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>hello</html>\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        sized(200, b"ok") + b"more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    ],
)
def test_bytes_that_are_no_response_are_refused(wire: bytes) -> None:
    """What cannot be an answer to one request is said to be so, never guessed at."""
    with pytest.raises(HttpProtocolError):
        ResponseParser().feed(wire)


def test_a_connection_that_ends_early_gives_no_response() -> None:
    """A cut body is no answer."""
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") is None
    assert parser.eof() is None
