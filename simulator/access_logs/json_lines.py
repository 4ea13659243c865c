"""JSON, one object a line: any keys (NDJSON), and the keys of Envoy's JSON access log.

Source for Envoy: "Access logging", json_format, with the keys that Istio and Envoy's own examples
give its command operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trueup.simulator.access_logs.objects import COMMON_NAMES, Names, ObjectReader
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.source import ParseLine

__all__ = ["decode_object", "envoy_parser", "ndjson_parser"]

_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
_ENVOY: Final[Names] = {
    **COMMON_NAMES,
    "time": [("start_time",)],
    "bytes": [("bytes_sent", "bytes_received")],
    "host": [("authority",), ("requested_server_name",), (":authority",), ("host",)],
    "user": [("user",), ("x_user",), ("downstream_peer_subject",)],
    "client": [("downstream_remote_address",), ("downstream_direct_remote_address",),
               ("x_forwarded_for",)],
    "status": [("response_code",)],
    "duration": [("duration",)],
    "error": [],
}  # fmt: skip
_ENVOY_KEYS: Final = ("start_time", "response_code", "bytes_sent", "bytes_received", "duration")
_CONTAINER_KEYS: Final = {"log", "stream", "time"}
_NO_FAILURE: Final = frozenset(("", "-", "DC", "DPE"))
"""Response flags that are none, or the client's own doing."""


def decode_object(line: str) -> Mapping[str, object]:
    """Return the JSON object of a line. Raises BadLine."""
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError as error:
        large = "out of range" in str(error)
        raise BadLine("a number is too large" if large else "expected an object") from None
    except msgspec.DecodeError as error:
        raise BadLine(f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    except (RecursionError, ValueError):
        raise BadLine(
            "not JSON that can be read: nested too deeply, or a number too long"
        ) from None


def ndjson_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of objects with any keys."""
    reader = ObjectReader(options)

    def parse(line: str) -> AccessRecord:
        row = decode_object(line)
        if row.keys() == _CONTAINER_KEYS:
            raise BadLine(
                "a line that a container engine wrapped: unwrap the log first, with jq -j .log"
            )
        return reader.read(row)

    return parse


def envoy_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of Envoy's JSON access log."""
    reader = ObjectReader(options, _ENVOY)

    def parse(line: str) -> AccessRecord:
        row = decode_object(line)
        if missing := [key for key in _ENVOY_KEYS if key not in row]:
            raise BadLine(f"no {', '.join(missing)} in {shorten(', '.join(row))}")
        flags = str(row.get("response_flags") or "")
        record = reader.read(row)
        if set(flags.split(",")) <= _NO_FAILURE:
            return msgspec.structs.replace(record, protocol="http")
        return msgspec.structs.replace(record, protocol="http", error=f"envoy_{flags[:40]}")

    return parse
