"""The requests that the page makes, and nothing else.

Anyone on this machine, and any page in its browsers, can reach a port of the loopback. So a request
must know the token of the path, and must have come under a name of this machine: a page of another
host that made its name point here (DNS rebinding) names its own host. There is no folder behind the
server; what it has is a handful of names.
"""

from __future__ import annotations

import hmac
import http.server
import select
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from lunart.view.nifti import Irc, NiftiFile

if TYPE_CHECKING:
    from lunart.view.server import ViewServer

_HOSTS = ("127.0.0.1", "localhost")
_HEADERS = {
    # Scripts and styles only from this server; images also from NiiVue's bundle (its font).
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",  # pictures of a patient
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the path holds the token
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_QUERY = 100
_PING_S = 15.0


@dataclass(frozen=True)
class _RefusedError(Exception):
    status: HTTPStatus
    text: str


class ViewHandler(http.server.BaseHTTPRequestHandler):
    """One connection of a browser."""

    server: ViewServer
    protocol_version = "HTTP/1.1"
    server_version = "luna-view"
    sys_version = ""
    timeout = 120  # seconds without a byte, either way

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: paths hold the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In plain text, for what the base class refuses (methods, broken requests)."""
        self._send_text(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _answer(self, *, with_body: bool) -> None:
        try:
            name, query = self._wanted()
            if name == "alive":
                self._stay_open()
            elif name in ("scan.nii", "mask.nii"):
                self._send_file(self._nifti(name, query), with_body=with_body)
            else:
                content_type, content = self._small_file(name)
                self._start(HTTPStatus.OK, content_type, len(content))
                self._write([content] if with_body else [])
        except _RefusedError as refused:
            self._send_text(refused.status, refused.text)
        except OSError:
            self.close_connection = True  # the browser left, or stopped reading

    def _wanted(self) -> tuple[str, str]:
        """The name after the token, and the query. Raises ``_RefusedError``."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or _name_of(hosts[0]) not in _HOSTS:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this server answers to 127.0.0.1 only")
        try:
            url = urlsplit(self.path)
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the address makes no sense") from None
        token, _, name = url.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(errors="replace"), self.server.token.encode()):
            raise _RefusedError(
                HTTPStatus.FORBIDDEN, "wrong token: open the address that luna-view printed"
            )
        return name, url.query

    def _small_file(self, name: str) -> tuple[str, bytes]:
        if name == "view.json":
            return "application/json", self.server.content.document
        asset = self.server.content.assets.get(name or "index.html")
        if asset is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing of this name")
        return asset.content_type, asset.content

    def _nifti(self, name: str, query: str) -> NiftiFile:
        step = _step_of(query)
        content = self.server.content
        return content.scan_file(step) if name == "scan.nii" else content.mask_file(step)

    def _send_file(self, file: NiftiFile, *, with_body: bool) -> None:
        self._start(HTTPStatus.OK, "application/octet-stream", file.length)
        self._write(file.pieces if with_body else [])

    def _send_text(self, status: HTTPStatus, text: str) -> None:
        """A refusal. The connection ends: what else the request held is not read."""
        self.close_connection = True
        content = f"{text}\n".encode()
        try:
            self._start(status, "text/plain; charset=utf-8", len(content))
            self._write([content] if self.command != "HEAD" else [])
        except OSError:
            pass

    def _start(self, status: HTTPStatus, content_type: str, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        for key, value in _HEADERS.items():
            self.send_header(key, value)
        self.end_headers()

    def _write(self, pieces: Iterable[bytes | memoryview]) -> None:
        for piece in pieces:
            self.wfile.write(piece)

    def _stay_open(self) -> None:
        """Server-sent events without an event: both ends learn at once when the other leaves."""
        self.close_connection = True
        self._start(HTTPStatus.OK, "text/event-stream", None)
        with self.server.visitors.visit():
            while not _left(self.connection):
                self.wfile.write(b": here\n\n")


def _left(connection: socket.socket) -> bool:
    """Wait a while; true when the other end closed meanwhile."""
    readable, _, _ = select.select([connection], [], [], _PING_S)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def _name_of(host: str) -> str:
    """Without the port, which is another one behind ``ssh -L``."""
    name, colon, port = host.strip().rpartition(":")
    return (name if colon and port.isdecimal() else host.strip()).lower()


def _step_of(query: str) -> Irc:
    """``step=INDEX,ROW,COL``: every how many voxels. Raises ``_RefusedError``."""
    try:
        if len(query) > _LONGEST_QUERY:
            raise ValueError("too long")
        index, row, col = (int(by) for by in parse_qs(query).get("step", ["1,1,1"])[0].split(","))
    except ValueError:
        index = row = col = 0
    if not all(1 <= by <= 1024 for by in (index, row, col)):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "step is three whole numbers from 1 to 1024")
    return index, row, col
