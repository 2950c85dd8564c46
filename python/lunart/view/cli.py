"""The program ``luna-view``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from lunart.cli import Parser, run, say
from lunart.errors import OutputError
from lunart.reading.arguments import add_choices, choices_of
from lunart.reading.scan import read
from lunart.result import Result, require_same_scan
from lunart.view.assets import load_assets
from lunart.view.document import Document
from lunart.view.server import Content, ViewServer, take_port

PROG = "luna-view"
_POLL_S = 0.2
_STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def parser() -> argparse.ArgumentParser:
    """The options of ``luna-view``."""
    made = Parser(
        PROG,
        "Show a result on its scan in a browser: three planes, 3-D, mask and a list of nodules.\n"
        "The page is served on this machine only, under an address that holds a secret; Ctrl-C\n"
        "stops it. Research software, no medical device.",
    )
    made.add_argument("result", type=Path, metavar="RESULT.json", help="from luna_infer --json")
    made.add_argument(
        "scan", type=Path, metavar="SCAN", help="the scan that the result is of: a file or a folder"
    )
    add_choices(made)
    made.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port of 127.0.0.1 (default: a free one)"
    )
    made.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )
    made.add_argument(
        "--idle",
        type=_minutes,
        default=10.0,
        metavar="MINUTES",
        help="stop when every page has been closed for so long (default: 10; 0: never)",
    )
    return made


def main(argv: list[str] | None = None) -> int:
    """Run ``luna-view`` and return its exit code."""
    return run(PROG, lambda: _main(parser().parse_args(argv)), extra="view")


def _main(args: argparse.Namespace) -> None:
    assets = load_assets()
    # Reading can take minutes: what can be refused without is refused before.
    with take_port(args.port) as listening:
        result = Result.load(args.result)
        scan = read(args.scan, choices_of(args))
        require_same_scan(result, scan)
        content = Content.of(Document(result), scan, assets)
        with (
            ViewServer(content, listening, lambda: _say_closed(args.idle)) as server,
            _signals_told() as told,
        ):
            say(f"{PROG}: {server.url}")
            say(f"{PROG}: Ctrl-C stops it")
            if not args.no_browser:
                threading.Thread(target=_open_browser, args=(server.url,), daemon=True).start()
            say(f"{PROG}: stopped: {_serve(server, 60 * args.idle, told)}")


def _serve(server: ViewServer, idle_s: float, told: list[str]) -> str:
    """Answer requests, each in a thread, until a signal is ``told``. Returns why it ended."""
    server.timeout = _POLL_S
    while not told:
        server.handle_request()
        if idle_s and server.visitors.seconds_empty() > idle_s:
            return "no page has been open for a while (see --idle)"
    return told[0]


def _open_browser(url: str) -> None:
    """Without a display only a browser in this very terminal would be found, and take it over."""
    graphical = sys.platform != "linux" or bool(
        {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    )
    if not (graphical and webbrowser.open(url)):
        _try_to_say("no browser could be opened here: open the address above")


def _say_closed(idle_minutes: float) -> None:
    until = f" within {idle_minutes:g} minutes" if idle_minutes else ""
    _try_to_say(f"the page was closed; open the address again{until}, or stop with Ctrl-C")


def _try_to_say(text: str) -> None:
    """From a thread, which has nobody to tell that standard output is gone."""
    with suppress(OSError, OutputError):
        say(f"{PROG}: {text}")


@contextmanager
def _signals_told() -> Iterator[list[str]]:
    """The names of the signals that ask for the end, as they come.

    They are noted instead of raised: an exception could end up in the handling of a request.
    """
    told: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(signal.Signals(number).name)

    # What was to be ignored stays so: nohup.
    numbers = [one for one in _STOPPING if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port (0 to 65535)')
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < 1e6:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of minutes')
    return minutes
