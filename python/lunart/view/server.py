"""The server of the page: on the loopback, with a random token, gone at once when it is stopped."""

from __future__ import annotations

import errno
import http.server
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from lunart import _core
from lunart.errors import UsageError
from lunart.view.assets import Asset
from lunart.view.document import Document
from lunart.view.handler import ViewHandler
from lunart.view.nifti import Irc, LabelRuns, NiftiFile, label_file, scan_file
from lunart.view.visitors import Visitors

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Content:
    """Everything that is served."""

    assets: dict[str, Asset]
    document: bytes
    scan: _core.Scan
    mask: LabelRuns

    @classmethod
    def of(cls, document: Document, scan: _core.Scan, assets: dict[str, Asset]) -> Content:
        """Of a result's document and the scan that it is of."""
        return cls(assets, document.to_json(), scan, document.mask())

    def scan_file(self, step: Irc) -> NiftiFile:
        """The scan, every ``step`` voxels of each axis."""
        return scan_file(self.scan, step)

    def mask_file(self, step: Irc) -> NiftiFile:
        """The labels of the findings, likewise."""
        return label_file(self.scan, self.mask, step)


def take_port(port: int) -> socket.socket:
    """Listen on a port of the loopback; 0: any that is free. It can be had before there is anything
    to serve. Raises ``UsageError`` when it cannot be had.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = {
            errno.EADDRINUSE: "is in use by another program",
            errno.EACCES: "may not be used by this user",
        }.get(error.errno or 0, f"cannot be opened ({error.strerror})")
        raise UsageError(
            f"port {port} {why}: choose another with --port, or leave --port out"
        ) from error


class ViewServer(http.server.ThreadingHTTPServer):
    """Serves until it is stopped; a thread a connection, none of which keeps the program alive."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, content: Content, listening: socket.socket, on_page_closed: Callable[[], None]
    ) -> None:
        """``listening`` is of :func:`take_port`, and closed with the server."""
        self.content = content
        self.token = secrets.token_urlsafe(32)
        self.visitors = Visitors(on_page_closed)
        super().__init__(listening.getsockname(), ViewHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves in the middle is no fault; anything else is a defect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
