"""The response parser against h11: whatever ours accepts, h11 reads the same way."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from trueup.simulator.reactor.http1 import HttpProtocolError, Response, ResponseParser

Reading = tuple[int, bytes, bool, str | None]
"""Status, body, whether the connection can be used again, and Retry-After."""

VERSIONS = [b"HTTP/1.1"] * 12 + [
    b"HTTP/1.0",
    b"HTTP/1.9",
    b"HTTP/2.0",
    b"HTTP/1.banana",
    b"http/1.1",
]
STATUSES = [b"200"] * 12 + [b"204", b"304", b"404", b"503", b"100", b"101", b"099", b"20", b"2000"]
REASONS = [b" OK"] * 6 + [b"", b" ", b" Not\tFound", b" caf\xe9", b"OK", b" a\x00b", b" a\nb"]
FIELDS = [
    b"Server: x",
    b"Retry-After: 3",
    b"Retry-After:  7 ",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade, CLOSE",
    b"Connection: not-close",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked ",
    b"Transfer-Encoding: xchunkedy",
    b"Transfer-Encoding: gzip, chunked",
    b"transfer-encoding : chunked",
    b"Content-Length: 4",
    b"Content-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5, 6",
    b"Content-Length: +5",
    b"Content-Length: 0x5",
    b"Content-Length: 5_0",
    b"Content-Length:",
    b"Content-Length: \xb25",
    b"X: \x7f",
    b"X: a\rb",
    b"X: a\nContent-Length: 3",
    b" folded: 1",
    b"no colon",
    b": no name",
]
SIZES = [b"0x2", b"+2", b"-2", b"2_0", b" 2", b"2 ", b"2;a=b", b"2 ;a", b"", b"2\xb2", b"g", b"2\t"]
TRAILERS = [b"A: b\r\n", b"Content-Length: 1\r\n", b"no colon\r\n", b" A: b\r\n", b"A: b\nC: d\r\n"]


def fields() -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.sampled_from(FIELDS), max_size=3)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    """A chunked body: mostly valid, sometimes with one wrong size, line end or trailer."""
    parts = []
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3)):
        size = draw(st.sampled_from([b"%x" % len(data)] * 12 + [b"%X" % len(data), *SIZES]))
        end = draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"", b"\r\r\n"]))
        parts.append(size + b"\r\n" + data + end)
    last = draw(st.sampled_from([b"0"] * 8 + [b"000", b"0;x", b"0x0", b"00 "]))
    trailers = draw(st.lists(st.sampled_from(TRAILERS), max_size=2)) if draw(st.booleans()) else []
    return b"".join(parts) + last + b"\r\n" + b"".join(trailers) + b"\r\n"


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """The bytes of a response, mostly close to a valid one."""
    head = draw(st.sampled_from(VERSIONS)) + b" " + draw(st.sampled_from(STATUSES))
    head += draw(st.sampled_from(REASONS))
    lines = draw(fields())
    framing = draw(st.sampled_from(["length", "chunked", "none"]))
    body = draw(st.binary(max_size=8))
    if framing == "length":
        lines.insert(draw(st.integers(0, len(lines))), b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.insert(draw(st.integers(0, len(lines))), b"Transfer-Encoding: chunked")
        body = draw(chunked_bodies())
    interim = draw(st.sampled_from([b""] * 6 + [b"HTTP/1.1 100 Continue\r\n\r\n"]))
    return interim + b"\r\n".join([head, *lines]) + b"\r\n\r\n" + body


@st.composite
def damaged_responses(draw: st.DrawFn) -> bytes:
    """A response in which up to three bytes were inserted, removed or replaced."""
    wire = bytearray(draw(responses()))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        at = draw(st.integers(0, len(wire)))
        byte = draw(st.sampled_from(b"\x00\t\n\r :;,0159aAfFxX_+-\x7f\x80\xff"))
        match draw(st.sampled_from(["insert", "remove", "replace"])):
            case "insert":
                wire.insert(at, byte)
            case "remove":
                del wire[at : at + 1]
            case _:
                wire[at : at + 1] = bytes([byte])
    return bytes(wire)


def split_at(wire: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[a:b] for a, b in pairwise(marks)]


def read_by_ours(pieces: list[bytes]) -> Reading | None:
    """Return what our parser reads from a whole connection; None if it refuses it."""
    parser, found = ResponseParser(), []
    try:
        found = [parser.feed(piece) for piece in pieces]
        if not parser.idle:
            found.append(parser.eof())
    except HttpProtocolError:
        return None
    complete = [one for one in found if one is not None]
    if len(complete) != 1 or found[-1] is None:
        return None
    (one,) = complete
    assert isinstance(one, Response)
    return one.status, one.body, one.keep_alive, one.retry_after


def read_by_h11(wire: bytes) -> Reading | None:
    """Return what h11 reads from the same connection; None if it refuses it."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    status, body, after = 0, b"", None
    at_end = False
    try:
        connection.receive_data(wire)
        while True:
            match connection.next_event():
                case h11.Response(status_code=status, headers=headers):
                    values = [value for name, value in headers if name == b"retry-after"]
                    after = values[-1].decode("latin-1") if values else None
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    break
                case h11.NEED_DATA if not at_end:
                    connection.receive_data(b"")
                    at_end = True
                case h11.InformationalResponse():
                    pass
                case _:
                    return None
    except h11.RemoteProtocolError:
        return None
    if connection.trailing_data[0]:
        return None
    reusable = connection.their_state is h11.DONE and connection.our_state is h11.DONE
    return status, body, reusable and not at_end, after


@settings(max_examples=500)
@given(damaged_responses(), st.lists(st.integers(0, 300), max_size=4))
def test_h11_reads_every_accepted_response_the_same_way(wire: bytes, cuts: list[int]) -> None:
    ours = read_by_ours(split_at(wire, cuts))
    event("accepted" if ours else "refused")
    if ours is None:
        return
    theirs = read_by_h11(wire)
    assert theirs is not None, "h11 refuses it"
    assert (ours[0], ours[1], ours[3]) == (theirs[0], theirs[1], theirs[3])
    if ours[2] and not wire.startswith(b"HTTP/1.0"):
        assert theirs[2], "h11 would not use the connection again"


@settings(max_examples=150)
@given(
    st.sampled_from([200, 404, 503]),
    st.binary(max_size=60),
    st.integers(0, 20),
    st.sampled_from([b"", b"Retry-After: 2\r\n", b"Connection: close\r\n", b"X: \xe9 y\r\n"]),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_both_accept_every_valid_response(
    status: int, body: bytes, step: int, extra: bytes, cuts: list[int]
) -> None:
    """`step` is the size of a chunk; 0 stands for a body with a Content-Length."""
    head = b"HTTP/1.1 %d Any\r\n%s" % (status, extra)
    if step:
        chunks = [body[at : at + step] for at in range(0, len(body), step)]
        encoded = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in chunks)
        wire = head + b"Transfer-Encoding: chunked\r\n\r\n" + encoded + b"0\r\nA: b\r\n\r\n"
    else:
        wire = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    ours = read_by_ours(split_at(wire, cuts))
    assert ours is not None
    assert ours == read_by_h11(wire)
    assert ours[:2] == (status, body)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.banana 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunkedy\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
    ],
    ids=["version", "two lengths", "unknown coding", "prefixed chunk size"],
)
def test_both_refuse_what_an_earlier_version_accepted(wire: bytes) -> None:
    assert read_by_ours([wire]) is None
    assert read_by_h11(wire) is None
