"""Running a measurement in a process of its own, and saying why one failed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lunart

# What luna_infer tells glibc's allocator in main(): a worker that stands for it does as it does.
_AS_LUNA_INFER = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


class MeasurementError(Exception):
    """A measurement did not come back; the message says why in one line."""


def run_worker(job: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The figures of a job of :mod:`lunart.bench.worker`. Raises ``MeasurementError``."""
    environment = _AS_LUNA_INFER if job.get("runs_in") == "native" else {}
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder:
        answer = Path(folder) / "answer.json"
        text = json.dumps({**job, "answer": str(answer)})
        run_program(
            [sys.executable, "-m", "lunart.bench.worker"],
            given=text,
            environment=environment,
            timeout_s=timeout_s,
        )
        data = json.loads(answer.read_text())
    if "error" in data:
        raise MeasurementError(one_line(data["error"]))
    figures: dict[str, Any] = data["figures"]
    return figures


def run_luna_infer(program: Path, arguments: Sequence[str], *, timeout_s: float) -> dict[str, Any]:
    """The JSON of a run of the native program. Raises ``MeasurementError``."""
    command = [str(program), *arguments, "--json", "-", "--progress", "none"]
    result: dict[str, Any] = json.loads(run_program(command, timeout_s=timeout_s))
    return result


def run_program(
    command: Sequence[str],
    *,
    timeout_s: float,
    given: str = "",
    environment: Mapping[str, str] | None = None,
) -> str:
    """A program's standard output. Raises ``MeasurementError`` when it fails or takes too long."""
    kept = {key: value for key, value in os.environ.items() if key != "LUNART_ENGINE"}
    # The same lunart as this process, also when it is found by the current folder alone.
    package = str(Path(lunart.__file__).parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            env={**kept, **(environment or {})},
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"did not end within {timeout_s:.0f} s (--timeout)") from None
    except OSError as error:
        raise MeasurementError(f"{command[0]} cannot be run ({error.strerror})") from error
    if done.returncode == 0:
        return done.stdout
    last = one_line(done.stderr.strip().rpartition("\n")[2])
    raise MeasurementError(": ".join(filter(None, [_ending(done.returncode), last])))


def luna_infer() -> Path | None:
    """The native program: the source tree's, the environment's, or the one on PATH."""
    beside = Path(sys.executable).parent / "luna_infer"
    tree = Path(lunart.__file__).parents[2] / "luna_infer"
    for candidate in (tree, beside, shutil.which("luna_infer")):
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    return None


def one_line(text: str) -> str:
    return " ".join(text.split())


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"was ended by signal {-code} ({name})"
