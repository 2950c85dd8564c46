"""What the ``luna-*`` programs in Python share: exit codes, errors for people, missing extras."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, TextIO

from lunart import _core
from lunart.errors import EngineError, LunartError, OutputError, UsageError

#: For --help, in the words of ``luna_infer --help``.
EXIT_CODES = "\n".join(
    ["exit codes:"]
    + [f"  {code} {sentence}" for code, sentence in [(0, "done"), *_core.exit_codes()]]
)

_INTERRUPTED = 130
# Packages of the extras, by the name under which Python imports them.
_OPTIONAL = (
    "torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "matplotlib", "scipy", "diskcache",
    "PIL", "SimpleITK", "lightning", "torchmetrics", "tensorboard", "pydicom", "highdicom",
    "contourpy", "jinja2", "pandas",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """A parser that says what the exit codes are, and whose errors look like all others."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def run(prog: str, body: Callable[[], None], *, extra: str) -> int:
    """Run a program's body and turn what it raises into a message and an exit code.

    ``extra`` is the optional set of dependencies that a missing package is in.
    """
    # PyTorch's threads spin while they wait for each other and starve when anything else runs; read
    # when PyTorch is loaded, which no program has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_tick(stream)
    try:
        try:
            body()
        finally:
            _flush()
    except SystemExit as stop:  # argparse, after printing its help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        print(": ".join([prog, "interrupted", *map(str, stop.args)]), file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left; Python would complain again when it flushes at exit.
        sys.stdout = None
        return OutputError.exit_code
    except LunartError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in _OPTIONAL:
            return _unexpected(prog, error)
        print(
            f"{prog}: error: {package} is not installed: pip install 'lunart[{extra}]'",
            file=sys.stderr,
        )
        return EngineError.exit_code
    except Exception as error:
        return _unexpected(prog, error)
    return 0


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once. Raises ``OutputError`` when it cannot be written."""
    try:
        print(text, file=stream or sys.stdout, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_written(error) from error


def _flush() -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_written(error) from error


def _not_written(error: OSError) -> OutputError:
    sys.stdout = None  # Python would complain again when it flushes at exit
    return OutputError(f"standard output cannot be written ({error.strerror})")


def _unexpected(prog: str, error: Exception) -> int:
    traceback.print_exc()
    print(f"{prog}: error: {error} (a defect of lunart: please report it)", file=sys.stderr)
    return LunartError.exit_code


def _never_fail_on_a_tick(stream: TextIO) -> None:
    """A terminal that is not Unicode shows '?' for the tick instead of stopping the program."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
