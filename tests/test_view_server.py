"""The server of luna-view: who may ask, what it says, and how it ends."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from lunart.errors import EngineError
from lunart.view import cli
from lunart.view.assets import load_assets
from lunart.view.server import ViewServer
from lunart.view.visitors import Visitors
from viewed import SECONDS, Viewed, serving, started, write_viewed


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    return write_viewed(tmp_path_factory.mktemp("viewed"), candidates=True)


@pytest.fixture(scope="module")
def server(viewed: Viewed) -> Iterator[ViewServer]:
    with serving(viewed) as started:
        yield started


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        "path", ["/", "/view.json", "/wrong/", "/wrong/view.json", "//", "/%00"]
    )
    def test_nobody_without_the_token(self, server: ViewServer, path: str) -> None:
        assert ask(server, path).status == 403

    def test_nobody_with_a_part_of_the_token(self, server: ViewServer) -> None:
        for wrong in (server.token[:-1], server.token + "x", server.token.swapcase()):
            assert ask(server, f"/{wrong}/").status == 403
        assert b" 403 " in raw(server, f"GET /{'é' * 43}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    def test_tokens_differ_and_are_long(self, viewed: Viewed) -> None:
        with serving(viewed) as one, serving(viewed) as other:
            assert one.token != other.token
            assert min(len(one.token), len(other.token)) >= 43  # 256 bits

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "", "["]
    )
    def test_no_page_of_another_host(self, server: ViewServer, host: str) -> None:
        answer = ask(server, f"/{server.token}/view.json", Host=host)
        assert answer.status == 403

    def test_no_request_without_a_host_or_with_two(self, server: ViewServer) -> None:
        for hosts in ("", "Host: 127.0.0.1\r\nHost: evil.example\r\n"):
            request = f"GET /{server.token}/ HTTP/1.1\r\n{hosts}\r\n"
            assert raw(server, request).startswith(b"HTTP/1.1 403 ")

    @pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "LOCALHOST"])
    def test_this_machine_by_any_port(self, server: ViewServer, host: str) -> None:
        """As through ``ssh -L``."""
        assert ask(server, f"/{server.token}/", Host=host).status == 200

    def test_no_address_but_the_loopback(self, server: ViewServer) -> None:
        assert server.server_address[0] == "127.0.0.1"


class TestWhatItSays:
    def test_the_page(self, server: ViewServer) -> None:
        answer = ask(server, f"/{server.token}/")
        assert answer.status == 200
        assert "luna-view" in answer.text
        assert "Not a medical device" in answer.text
        for name in ("view.js", "view.css", "icon.svg", "licenses.txt"):
            assert ask(server, f"/{server.token}/{name}").status == 200
        assert "BSD 2-Clause License" in ask(server, f"/{server.token}/licenses.txt").text

    def test_every_answer_forbids_scripts_of_others(self, server: ViewServer) -> None:
        for path in (f"/{server.token}/", f"/{server.token}/view.json", "/", f"/{server.token}/no"):
            headers = ask(server, path).headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in headers

    @pytest.mark.parametrize(
        "name",
        [
            "..", "../cli.py", "%2e%2e/cli.py", "static/", "/etc/passwd", "./view.js", "view.js/",
            "index.html/..", "VIEW.JS", "view.js%00", "scan.nii/", "result.json",
        ],
    )  # fmt: skip
    def test_no_file_but_its_own(self, server: ViewServer, name: str) -> None:
        assert ask(server, f"/{server.token}/{name}").status == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"])
    def test_no_method_but_get_and_head(self, server: ViewServer, method: str) -> None:
        assert ask(server, f"/{server.token}/", method).status in (400, 501)

    def test_head_has_no_body(self, server: ViewServer) -> None:
        answer = ask(server, f"/{server.token}/scan.nii", "HEAD")
        assert (answer.status, answer.text) == (200, "")
        assert int(answer.headers["Content-Length"]) > 352

    @pytest.mark.parametrize(
        "step", ["0,1,1", "1,1", "1,1,1,1", "-1,1,1", "1,1,x", "1e9,1,1", "99999,1,1", "9" * 500]
    )
    def test_a_step_that_makes_no_sense(self, server: ViewServer, step: str) -> None:
        answer = ask(server, f"/{server.token}/scan.nii?step={step}")
        assert answer.status == 400
        assert "step is three whole numbers" in answer.text

    def test_the_findings_by_kind_and_probability(self, server: ViewServer, viewed: Viewed) -> None:
        known = json.loads(ask(server, f"/{server.token}/view.json").text)
        kinds = [finding["kind"] for finding in known["findings"]]
        assert kinds == ["nodule", "nodule", "candidate"]
        probabilities = [finding["probability"] for finding in known["findings"]]
        assert probabilities == sorted(probabilities, reverse=True)
        stored = {one["label"]: one for one in viewed.result["candidates"]}
        for finding in known["findings"]:
            assert finding["center_xyz_mm"] == stored[finding["label"]]["center_xyz_mm"]

    def test_requests_that_are_none(self, server: ViewServer) -> None:
        for request in (
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\r\n",
        ):
            raw(server, request.decode("latin-1"))
        raw(server, f"GET /{'a' * 70000} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert ask(server, f"/{server.token}/").status == 200

    def test_a_browser_that_leaves_in_the_middle(
        self, server: ViewServer, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_connection(server.server_address) as connection:
            request = f"GET /{server.token}/scan.nii HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            connection.sendall(request.encode())
            connection.recv(100)
        time.sleep(0.2)
        assert ask(server, f"/{server.token}/").status == 200
        assert capfd.readouterr().err == ""


class TestHowItEnds:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_at_once_when_told(self, viewed: Viewed, number: signal.Signals) -> None:
        with started(viewed.result_path, viewed.scan_path, "--no-browser") as (process, url):
            with socket.create_connection(("127.0.0.1", port_of(url))) as watching:
                path = url.split("/", 3)[3]
                request = f"GET /{path}alive HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                watching.sendall(request.encode())
                assert b"text/event-stream" in watching.recv(1000)
                asked = time.monotonic()
                process.send_signal(number)
                said, complaint = process.communicate(timeout=SECONDS)
            assert time.monotonic() - asked < 5
            assert (process.returncode, complaint) == (0, "")
            assert "stopped" in said
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port_of(url)))

    def test_by_itself_when_every_page_was_closed(self, viewed: Viewed) -> None:
        arguments = (viewed.result_path, viewed.scan_path, "--no-browser", "--idle", "0.05")
        with started(*arguments) as (process, url):
            with socket.create_connection(("127.0.0.1", port_of(url))) as watching:
                path = url.split("/", 3)[3]
                request = f"GET /{path}alive HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                watching.sendall(request.encode())
                watching.recv(1000)
            said, complaint = process.communicate(timeout=SECONDS)
        assert (process.returncode, complaint) == (0, "")
        assert "the page was closed" in said
        assert "no page has been open for a while" in said

    def test_a_page_that_is_loaded_anew_was_not_closed(self) -> None:
        closed: list[bool] = []
        visitors = Visitors(lambda: closed.append(True), moment_s=0.05)
        with visitors.visit(), visitors.visit():
            pass
        assert closed == [True]
        with visitors.visit():
            with visitors.visit():
                pass
            time.sleep(0.1)
            assert closed == [True]
            assert visitors.seconds_empty() == 0


class TestRefusals:
    def test_a_port_in_use(self, server: ViewServer, viewed: Viewed) -> None:
        port = server.server_address[1]
        message = refused(2, viewed.result_path, viewed.scan_path, "--port", port)
        assert f"port {port} is in use by another program: choose another with --port" in message

    def test_a_port_in_use_is_told_before_the_scan_is_read(
        self, server: ViewServer, viewed: Viewed, tmp_path: Path
    ) -> None:
        port = server.server_address[1]
        message = refused(2, viewed.result_path, tmp_path / "gone.mhd", "--port", port)
        assert f"port {port} is in use" in message

    @pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5", ""])
    def test_a_port_that_is_none(self, viewed: Viewed, port: str) -> None:
        assert "is no port" in refused(2, viewed.result_path, viewed.scan_path, f"--port={port}")

    def test_a_result_of_another_scan(self, viewed: Viewed, tmp_path: Path) -> None:
        other = write_viewed(tmp_path, direction="flipped")
        message = refused(2, viewed.result_path, other.scan_path)
        assert "the result does not belong to" in message
        assert "direction" in message

    def test_a_result_that_is_none(self, viewed: Viewed, tmp_path: Path) -> None:
        for content in ("", "{", "[]", "null", '{"schema": "lunart.result/9"}'):
            path = tmp_path / "broken.json"
            path.write_text(content)
            assert "broken.json" in refused(8, path, viewed.scan_path)

    def test_a_scan_that_is_absent(self, viewed: Viewed, tmp_path: Path) -> None:
        assert "gone.mhd" in refused(3, viewed.result_path, tmp_path / "gone.mhd")

    def test_a_build_without_npm(self, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="apt-get install npm"):
            load_assets(tmp_path)


class Answer:
    """Of a request that was made to the end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode("latin-1")


def ask(server: ViewServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(*server.server_address, timeout=SECONDS)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def raw(server: ViewServer, request: str) -> bytes:
    """What the server answers to these very bytes before it closes the connection."""
    with socket.create_connection(server.server_address, timeout=SECONDS) as connection:
        connection.sendall(request.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        pieces = []
        try:
            while piece := connection.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
    return b"".join(pieces)


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def refused(code: int, *arguments: Any) -> str:
    """The message of a run in this process that must end with ``code`` before it serves."""
    said, complaint = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complaint):
        ended = cli.main([*map(str, arguments), "--no-browser"])
    assert (ended, said.getvalue()) == (code, ""), complaint.getvalue()
    return complaint.getvalue()
