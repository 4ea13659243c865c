"""`trueup target check`: output and exit status for valid and invalid targets."""

from __future__ import annotations

import json
import socket
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.command_line import exit_status
from trueup.scenarios.cli.target import EXAMPLES

Answer = Callable[[BaseHTTPRequestHandler], None]
_HANG_S = 30


def _respond_with(status: int, kind: str, body: str) -> Answer:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        raw = body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return respond


_EMPTY = json.dumps(
    {"data": [], "item_count": 0, "message": "", "page": 1, "per_page": 100, "total_count": 0}
)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start servers that send one response to every request; return the address of each."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class FixedResponse(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), FixedResponse)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/1.0"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a target file for an address."""
    monkeypatch.setenv("A_PUBLIC", "pk-canary-1")
    monkeypatch.setenv("A_PRIVATE", "sk-canary-2")

    def write(url: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(
            f'name = "mine"\nbase_url = "{url}"\ntimeout_s = 0.5\n[tenants.a]\n'
            'public_key = { env = "A_PUBLIC" }\nprivate_key = { env = "A_PRIVATE" }\n'
            '[readings]\nretention = "calendar"\n[budget]\nrequests_per_s = "unlimited"\n'
        )
        return path

    return write


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = exit_status("target", "check", *words)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "canary" not in out + err
    own = [line for line in out.splitlines() if "mine.toml" not in line]
    assert max(map(len, own), default=0) <= 80 or "--json" in words
    return status, out, err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_reachable_target_is_shown_with_its_readings(
    serve: Callable[[Answer], str],
    file: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = serve(_respond_with(200, "application/json", _EMPTY))
    status, out, _ = _run(capsys, str(file(url)))
    assert status == 0
    assert f"{url}/public/user" in out
    assert "0 yes read" in out
    assert "2 no  inject time-stamped events (no [ingest] in the target file)" in out
    assert "retention               calendar      declared" in out
    assert "unknown-filter          ignored       probed" in out
    assert "The target file is right, and the target responds." in out


def test_the_json_output_is_one_object_with_the_same_content(
    serve: Callable[[Answer], str],
    file: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = serve(_respond_with(200, "application/json", _EMPTY))
    status, out, _ = _run(capsys, "--json", str(file(url)))
    told = json.loads(out)
    assert status == 0
    assert told["reachable"] is True
    assert [one["level"] for one in told["levels"] if one["reached"]] == [0]
    assert told["readings"]["retention"] == {"value": "calendar", "how": "declared"}


@pytest.mark.usefixtures("short_retry_pauses")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_respond_with(401, "application/json", '{"error": "x", "message": "y"}'), "status 401"),
        (_respond_with(200, "text/html", "<html>Welcome</html>"), "not a JSON object"),
        (lambda handler: threading.Event().wait(_HANG_S), "public/user"),
    ],
    ids=["wrong keys", "HTML", "hangs"],
)
def test_a_target_that_cannot_be_tested_ends_with_2(
    serve: Callable[[Answer], str],
    file: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    answer: Answer,
    said: str,
) -> None:
    status, out, _ = _run(capsys, str(file(serve(answer))))
    assert status == 2
    assert "The target file is valid, but the target cannot be judged:" in out
    assert said in out.replace("\n    ", " ")


@pytest.mark.usefixtures("short_retry_pauses")
def test_a_refused_connection_ends_with_2(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(f"http://127.0.0.1:{_free_port()}/1.0")
    status, out, _ = _run(capsys, "--json", str(path))
    told = json.loads(out)
    assert (status, told["reachable"]) == (2, False)
    assert str(path) in told["trouble"]


def test_offline_sends_no_request(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = _run(capsys, "--offline", str(file(f"http://127.0.0.1:{_free_port()}/1.0")))
    assert status == 0
    assert "The target was not asked." in out


def test_a_target_on_another_machine_is_pointed_out(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = _run(capsys, "--offline", str(file("https://api.example.net/1.0")))
    assert "not this machine: runs need --allow-host api.example.net" in out


def test_what_will_leave_checks_inconclusive_is_noted(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = file("http://127.0.0.1:1/1.0")
    more = '[ingest]\nvia = "http"\nurl = "http://127.0.0.1:1/in"\n'
    path.write_text('claims = ["guide", "money"]\n' + path.read_text() + more)
    status, out, _ = _run(capsys, "--offline", "--json", str(path))
    assert status == 0
    assert [note.split()[0] for note in json.loads(out)["notes"]] == [
        "`money`",
        "Without",
        "tenants.a",
    ]


def test_an_invalid_file_ends_with_4_and_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('nme = "mine"\n')
    status, out, err = _run(capsys, str(path))
    assert (status, out) == (4, "")
    assert 'did you mean "name"?' in err


def _new(*words: str) -> int:
    return exit_status("target", "new", *words)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_is_written_and_not_replaced(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).parents[2] / "scenarios" / "targets" / f"{kind}.toml"
    file = tmp_path / "mine.toml"
    assert _new("--from", kind, str(file)) == 0
    assert file.read_text() == example.read_text()
    assert "PUBLIC_KEY" in capsys.readouterr().out
    file.write_text("mine")
    assert _new("--from", kind, str(file)) == 4
    assert file.read_text() == "mine"


def test_a_new_file_has_the_url_of_the_api_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert _new("--from", "reference", "--url", "http://127.0.0.1:8123/1.0", "-") == 0
    written = tomllib.loads(capsys.readouterr().out)
    assert written["base_url"] == "http://127.0.0.1:8123/1.0"
    assert written["ingest"]["url"] == "http://127.0.0.1:8123/ingest/events"
    assert written["clock"]["url"] == "http://127.0.0.1:8123/control/clock"


@pytest.mark.parametrize("url", ["ftp://x/1.0", 'http://x/"', "here"])
def test_what_is_no_url_is_refused(url: str) -> None:
    assert _new("--from", "http", "--url", url, "-") == 4


def test_every_example_file_can_be_written() -> None:
    folder = Path(__file__).parents[2] / "scenarios" / "targets"
    assert {file.stem for file in folder.iterdir()} == set(EXAMPLES)


def test_the_kind_is_asked_for_with_what_each_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "http")
    assert _new("-") == 0
    shown = capsys.readouterr()
    assert 'via = "http"' in shown.out
    for kind in EXAMPLES:
        assert f"  {kind} " in shown.err
    assert "takes events through a message broker" in shown.err
