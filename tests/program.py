"""Running the native program ``luna_infer`` in tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 120


def path() -> Path:
    """The program: ``LUNART_INFER``, the source tree's, or the environment's. Skips when absent."""
    beside = Path(sys.executable).parent / "luna_infer"
    on_path = shutil.which("luna_infer")
    for candidate in (os.environ.get("LUNART_INFER"), ROOT / "luna_infer", beside, on_path):
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    pytest.skip("luna_infer is not built (make build)")


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end with two threads; ``options`` are those of ``subprocess.run``."""
    settings: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "timeout": TIMEOUT_S,
        "env": {key: value for key, value in os.environ.items() if key != "LUNART_ENGINE"},
        **options,
    }
    return subprocess.run([str(path()), *map(str, arguments)], check=False, **settings)


def refused(code: int, *arguments: object, **options: Any) -> str:
    """The message of a run that must end with ``code``: one error, nothing on standard output."""
    done = run(*arguments, **options)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("luna_infer: error: ")]
    assert len(errors) == 1, done.stderr
    return done.stderr[done.stderr.index("luna_infer: error: ") :]


def result_of(*arguments: object, **options: Any) -> dict[str, Any]:
    """The JSON of a run that must succeed."""
    done = run(*arguments, "--json", "-", **options)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
