"""Builds the page of luna-view: build.py WORK OUTPUT, run by CMake.

npm's packages are kept in WORK, so that a second build needs no registry. Where there is no npm, or
it cannot reach a registry, the build of lunart goes on and luna-view says what it misses. Standard
library only: it runs before anything of ours is installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LICENCES = HERE.parents[3] / "licenses"
_PINS = ("package.json", "package-lock.json", ".npmrc")
_INSTALL = ("ci", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")


def main(work: Path, output: Path) -> int:
    """Build the page in ``work`` and put it into ``output``; 0 also where npm is missing."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return _without("npm is not on the PATH (Debian: apt-get install npm)")
    failure = _install(npm, work)
    if failure:
        return _without(failure)
    fresh = output.with_name(f".{output.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copy2(HERE / "build.mjs", work / "build.mjs")  # it imports esbuild from beside itself
    bundled = subprocess.run([node, "build.mjs", HERE, LICENCES, fresh], cwd=work, check=False)
    if bundled.returncode != 0:
        return bundled.returncode
    shutil.rmtree(output, ignore_errors=True)
    fresh.rename(output)
    return 0


def _install(npm: str, work: Path) -> str:
    """``npm ci`` unless it has run for these very pins. Returns what failed, or nothing."""
    pins = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in _PINS)).hexdigest()
    done = work / "installed"
    if done.exists() and done.read_text() == pins:
        return ""
    work.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)
    for name in _PINS:
        shutil.copy2(HERE / name, work / name)
    ran = subprocess.run([npm, *_INSTALL], cwd=work, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        lines = [line for line in ran.stderr.splitlines() if line.strip()]
        return f"npm ci failed ({lines[0] if lines else f'exit code {ran.returncode}'})"
    done.write_text(pins)
    return ""


def _without(why: str) -> int:
    print(f"luna-view is built without its page: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
