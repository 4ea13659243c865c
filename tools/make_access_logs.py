"""Make the access logs of `tests/data/access_logs` by running Squid, HAProxy, nginx and Apache.

On Debian, as root: `apt-get install squid haproxy nginx apache2`, then
`python -m tools.make_access_logs tests/data/access_logs`. All traffic stays on the loopback.
"""

from __future__ import annotations

import base64
import http.client
import http.server
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

REQUESTS: Final = 300
_USERS: Final = ("amelia", "bob", "carla", "dmitri", "")
_SQUID_CUSTOM: Final = '%tl %>a "%[un" %rm %>rd %>Hs %>st %<st %tr'
_NGINX_CUSTOM: Final = (
    "$msec $remote_addr $host $request_method $status $request_length $bytes_sent $request_time"
)
_APACHE_CUSTOM: Final = r"%v %a %u %t \"%r\" %>s %I %O %D"


class _Origin(http.server.BaseHTTPRequestHandler):
    """Sends as many bytes as the path says; `/s404/100` with that status."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        *_, status, size = ("s200", *self.path.split("?")[0].strip("/").split("/"))[-2:]
        body = b"x" * int(size)
        self.send_response(int(status[1:]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    """A server that reports no connection that a proxy ends."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(arguments: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit(f"{arguments[0]} does not listen on {port}")
        yield
        time.sleep(1.5)
    finally:
        process.terminate()
        process.wait(20)


def _paths(seed: int) -> Iterator[tuple[str, str]]:
    """Yield (path, user): sizes from a lognormal law, some errors."""
    dice = random.Random(seed)
    for number in range(REQUESTS):
        size = min(int(dice.lognormvariate(8, 1.8)), 400_000)
        status = 404 if number % 23 == 0 else 503 if number % 41 == 0 else 200
        yield f"/s{status}/{size}?q={number}", dice.choice(_USERS)


def _request(port: int, url: str, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", url, headers={"User-Agent": 'made "here"', **headers})
    connection.getresponse().read()
    connection.close()


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:x".encode()).decode()


def _squid(folder: Path, origin: int, out: Path) -> None:
    port = _free_port()
    helper = next(Path("/usr/lib/squid").glob("basic_fake_auth*"))
    logs = {"squid-native": "squid", "squid-custom": "own", "squid-combined": "combined"}
    lines = "\n".join(f"access_log stdio:{folder}/{name}.log {form}" for name, form in logs.items())
    (folder / "squid.conf").write_text(
        f"http_port 127.0.0.1:{port}\npid_filename {folder}/squid.pid\ncache_log /dev/null\n"
        f"visible_hostname proxy.example\ncoredump_dir {folder}\ncache deny all\n"
        f"logformat own {_SQUID_CUSTOM}\n{lines}\nstrip_query_terms off\n"
        f"auth_param basic program {helper}\nauth_param basic realm proxy\n"
        "acl known proxy_auth REQUIRED\nacl ours dst 127.0.0.0/8\n"
        "http_access deny !ours\nhttp_access allow known\nhttp_access deny all\n"
        "shutdown_lifetime 1 second\n"
    )
    with _running(["squid", "-N", "-f", str(folder / "squid.conf")], port):
        for path, user in _paths(1):
            headers = {"Proxy-Authorization": _basic(user)} if user else {}
            host = "127.0.0.1" if len(path) % 2 else "localhost"
            _request(port, f"http://{host}:{origin}{path}", headers)
        for name in ("localhost", "127.0.0.1"):
            with socket.create_connection(("127.0.0.1", port), 10) as tunnel:
                line = f"CONNECT {name}:{origin} HTTP/1.1\r\nProxy-Authorization: {_basic('bob')}"
                tunnel.sendall(f"{line}\r\n\r\n".encode())
                tunnel.recv(1000)
                tunnel.sendall(b"GET /5000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                while tunnel.recv(65536):
                    pass
        with socket.create_connection(("127.0.0.1", port), 10) as broken:
            broken.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            broken.recv(1000)
    for name in logs:
        shutil.copy(folder / f"{name}.log", out)


def _haproxy(folder: Path, origin: int, out: Path) -> None:
    http_port, tcp_port, own_port = _free_port(), _free_port(), _free_port()
    (folder / "haproxy.cfg").write_text(
        f"global\n  log {folder}/haproxy.sock format rfc3164 local0\n"
        "defaults\n  log global\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n"
        f"frontend web\n  mode http\n  bind 127.0.0.1:{http_port}\n  option httplog\n"
        "  capture request header Host len 40\n  default_backend origin\n"
        f"frontend raw\n  mode tcp\n  bind 127.0.0.1:{tcp_port}\n  option tcplog\n"
        "  default_backend origin_tcp\n"
        f"frontend own\n  mode http\n  bind 127.0.0.1:{own_port}\n"
        '  log-format "own %ci [%tr] %ST %B %U %Ta %{+Q}r"\n  default_backend origin\n'
        f"backend origin\n  mode http\n  server a 127.0.0.1:{origin}\n"
        f"backend origin_tcp\n  mode tcp\n  server a 127.0.0.1:{origin}\n"
    )
    lines: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(folder / "haproxy.sock"))
        log.settimeout(0.5)
        stop = threading.Event()

        def receive() -> None:
            while not stop.is_set():
                try:
                    text = log.recv(65536).decode().rstrip("\n")
                except TimeoutError:
                    continue
                # As rsyslog writes it to a file: without priority, with the name of the machine.
                _, _, rest = text.partition(">")
                lines.append(f"{rest[:15]} proxy-1 {rest[16:]}")

        thread = threading.Thread(target=receive)
        thread.start()
        with _running(["haproxy", "-f", str(folder / "haproxy.cfg")], http_port):
            for number, (path, _user) in enumerate(_paths(2)):
                port = (http_port, http_port, tcp_port, own_port)[number % 4]
                _request(port, path, {"Host": f"shop-{number % 7}.example:{port}"})
            with socket.create_connection(("127.0.0.1", http_port), 10) as broken:
                broken.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
                broken.recv(1000)
        stop.set()
        thread.join()
    own = [line.split(": own ", 1)[1] for line in lines if ": own " in line]
    (out / "haproxy-own.log").write_text("\n".join(own) + "\n")
    rest = [line for line in lines if ": own " not in line]
    (out / "haproxy.log").write_text("\n".join(rest) + "\n")


def _nginx(folder: Path, origin: int, out: Path) -> None:
    port = _free_port()
    (folder / "password").write_text("".join(f"{user}:{{PLAIN}}x\n" for user in _USERS if user))
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log /dev/null;\nevents {{}}\nhttp {{\n"
        f"  log_format own '{_NGINX_CUSTOM}';\n"
        '  log_format json escape=json \'{"time":"$time_iso8601","host":"$host",'
        '"remote_addr":"$remote_addr","user":"$remote_user","status":$status,'
        '"bytes_sent":$bytes_sent,"request_length":$request_length,"request_time":$request_time,'
        '"agent":"$http_user_agent"}\';\n'
        f"  access_log {folder}/nginx-combined.log combined;\n"
        f"  access_log {folder}/nginx-own.log own;\n  access_log {folder}/nginx-json.log json;\n"
        f"  server {{ listen 127.0.0.1:{port};\n    auth_basic x;\n"
        f"    auth_basic_user_file {folder}/password;\n"
        f"    location / {{ proxy_pass http://127.0.0.1:{origin}; }} }}\n}}\n"
    )
    with _running(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], port):
        for number, (path, user) in enumerate(_paths(3)):
            headers = {"Authorization": _basic(user)} if user else {}
            _request(port, path, {"Host": f"shop-{number % 7}.example:{port}", **headers})
    for name in ("combined", "own", "json"):
        shutil.copy(folder / f"nginx-{name}.log", out)


def _apache(folder: Path, origin: int, out: Path) -> None:
    port = _free_port()
    modules = "/usr/lib/apache2/modules"
    loads = "\n".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
    )
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nDefaultRuntimeDir {folder}\nMutex posixsem\n"
        f"ServerName web.example\nPidFile {folder}/apache.pid\n"
        f"Listen 127.0.0.1:{port}\n{loads}\nErrorLog /dev/null\nUser www-data\nGroup www-data\n"
        r'LogFormat "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" vhost'
        f'\nLogFormat "{_APACHE_CUSTOM}" own\n'
        f"CustomLog {folder}/apache-vhost.log vhost\nCustomLog {folder}/apache-own.log own\n"
        f"ProxyPass / http://127.0.0.1:{origin}/\n"
    )
    with _running(["apache2", "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"], port):
        for number, (path, _user) in enumerate(_paths(4)):
            _request(port, path, {"Host": f"shop-{number % 7}.example:{port}"})
    for name in ("vhost", "own"):
        shutil.copy(folder / f"apache-{name}.log", out)


def main(out: Path) -> None:
    """Write all logs into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    makers: tuple[Callable[[Path, int, Path], None], ...] = (_squid, _haproxy, _nginx, _apache)
    with ExitStack() as stack:
        server = _Server(("127.0.0.1", 0), _Origin)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for make in makers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o777)
            make(folder, server.server_address[1], out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
