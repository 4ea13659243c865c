"""The response parser: splits, framing, keep-alive, refusals and cost."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.simulator.reactor.http1 import MAX_BODY, HttpProtocolError, Response, ResponseParser

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
    assert found[-1] is not None
    assert found[:-1] == [None] * (len(found) - 1)
    return found[-1]


@given(bodies, st.sampled_from([200, 404, 503]), st.lists(st.integers(0, 1000), max_size=8))
def test_a_sized_response_is_complete_at_its_last_byte_however_it_is_split(
    body: bytes, status: int, cuts: list[int]
) -> None:
    response = fed(sized(status, body), cuts)
    assert (response.status, response.body, response.keep_alive) == (status, body, True)


@given(bodies, st.integers(1, 50), st.lists(st.integers(0, 1000), max_size=8))
def test_a_chunked_response_with_extensions_and_trailers_may_be_split_anywhere(
    body: bytes, step: int, cuts: list[int]
) -> None:
    assert fed(chunked(body, step), cuts).body == body


@given(st.lists(st.integers(0, 300), max_size=6))
def test_interim_responses_are_skipped(cuts: list[int]) -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" + sized(200, b"ok", "Retry-After: 3\r\n")
    response = fed(wire, cuts)
    assert (response.status, response.retry_after) == (200, "3")


def test_a_body_without_a_length_is_complete_at_the_end_of_the_connection() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf") is None
    assert parser.feed(b" done") is None
    response = parser.eof()
    assert response is not None
    assert (response.body, response.keep_alive) == (b"half done", False)


@pytest.mark.parametrize(
    ("wire", "keeps"),
    [
        (sized(200, b"", "Connection: close\r\n"), False),
        (sized(200, b"", "Connection: Upgrade, Close\r\n"), False),
        (sized(200, b"", "Connection: not-close\r\n"), True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_keep_alive_follows_the_version_and_the_connection_field(wire: bytes, keeps: bool) -> None:
    response = ResponseParser().feed(wire)
    assert response is not None
    assert response.keep_alive is keeps


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"<html>hello</html>\r\n\r\n", "is not an HTTP/1.x status line"),
        (b"HTTP/2 200\r\n\r\n", "is not an HTTP/1.x status line"),
        (b"HTTP/1.banana 200 OK\r\n\r\n", "is not an HTTP/1.x status line"),
        (b"HTTP/1.1 101 Upgrade\r\n\r\n", "was not requested"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n", "is not a Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n", "fields that differ"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            "fields that differ",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), "body of more than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunkedy\r\n\r\n", "is not supported"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "is not a valid header field"),
        (sized(200, b"ok") + b"more", "4 bytes after the end"),
        (CHUNKED + b"xyz\r\n", "is not a chunk size"),
        (CHUNKED + b"0x2\r\nab\r\n", "is not a chunk size"),
        (CHUNKED + b"1\r\nabc\r\n", "after the end of a chunk"),
        (CHUNKED + b"%x\r\n" % (MAX_BODY + 1), "body of more than"),
        (CHUNKED + b"0\r\nContent-Length: 1\r\n\r\n", "is not a valid trailer"),
        (CHUNKED + b"0\r\n\r\nmore", "4 bytes after the end"),
    ],
)
def test_bytes_that_are_no_response_are_refused_with_the_reason(wire: bytes, reason: str) -> None:
    with pytest.raises(HttpProtocolError, match=reason):
        ResponseParser().feed(wire)


@pytest.mark.parametrize("endless", [b"HTTP/1.1 200 OK\r\nX: ", CHUNKED, CHUNKED + b"0\r\nA: "])
def test_a_head_or_line_without_an_end_is_refused(endless: bytes) -> None:
    parser = ResponseParser()
    with pytest.raises(HttpProtocolError, match="more than 65536 bytes"):
        for piece in [endless, *[b"a" * 8_192] * 9]:
            parser.feed(piece)


def test_a_response_that_is_cut_off_is_not_complete() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") is None
    assert parser.eof() is None


@pytest.mark.parametrize(
    "head", [b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"]
)
def test_the_cost_of_a_large_body_is_linear(head: bytes) -> None:
    """Copying all earlier pieces for each new one took seconds of processor time."""
    size, piece = 7 << 20, bytes(4_096)
    parser = ResponseParser()
    began = time.process_time()
    parser.feed(b"HTTP/1.1 200 OK\r\n" + head % size)
    responses = [parser.feed(piece) for _ in range(size // len(piece))]
    if b"chunked" in head:
        responses.append(parser.feed(b"\r\n0\r\n\r\n"))
    assert time.process_time() - began < 3
    assert responses[-1] is not None
    assert len(responses[-1].body) == size


def test_a_body_of_tiny_chunks_is_refused_before_it_costs_seconds() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"1\r\nx\r\n" * 10_000
    began = time.process_time()
    with pytest.raises(HttpProtocolError, match="more than 100000 chunks"):
        for _ in range(20):
            parser.feed(piece)
    assert time.process_time() - began < 1


def test_interim_responses_without_an_end_are_refused() -> None:
    with pytest.raises(HttpProtocolError, match="more than 16 interim responses"):
        ResponseParser().feed(b"HTTP/1.1 100 Continue\r\n\r\n" * 17)
