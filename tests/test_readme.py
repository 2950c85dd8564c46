"""What the README tells a reader to type works, word for word."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import openvino_here
import program
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def desk(tmp_path: Path, bundle: Path, phantom_scan: Path) -> Path:
    """A working directory as `make demo` leaves it: a bundle, a scan, the program."""
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported/luna").symlink_to(bundle)
    scans = tmp_path / ".cache/demo/luna/subset0"
    scans.mkdir(parents=True)
    for place in (scans, tmp_path):
        header = phantom_scan.read_text().replace(f"{phantom_scan.stem}.raw", "scan.raw")
        (place / "scan.mhd").write_text(header)
        shutil.copy(phantom_scan.with_suffix(".raw"), place / "scan.raw")
    (tmp_path / "luna_infer").symlink_to(program.path())
    return tmp_path


def test_first_line_is_the_prerequisites_that_the_makefile_checks():
    line = README.splitlines()[0]
    command = re.search(r"`(apt-get install .*)`", line)
    assert command is not None
    assert command[1] in (ROOT / "cpp/cmake/check_prerequisites.sh").read_text()


def test_first_screen_names_the_two_commands():
    screen = "\n".join(README.splitlines()[:25])
    assert "make demo" in screen
    assert "make test" in screen


def test_every_native_command_runs(desk):
    lines = [line for line in README.splitlines() if line.startswith("./luna_infer")]
    assert len(lines) > 3
    for line in lines:
        words = shlex.split(line, comments=True)
        done = subprocess.run(
            words, cwd=desk, capture_output=True, text=True, timeout=120, check=False
        )
        if "--precision bf16" in line and "bf16" not in openvino_here.status()["precisions"]:
            # "Where the CPU has it": elsewhere it says so and names the way out.
            assert (done.returncode, done.stdout) == (5, ""), (line, done.stderr)
            assert "use --precision f32" in done.stderr
            continue
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout or "--json" in line


def test_python_block_runs(desk):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=desk,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "//" in target or (ROOT / target).exists(), target


def test_runner_block_of_the_public_header_compiles(tmp_path):
    """The usage example at the top of runner.hpp is real code."""
    header = (ROOT / "cpp/include/lunart/runner.hpp").read_text()
    example = "\n".join(
        line.removeprefix("//").strip() for line in header.splitlines() if line.startswith("//   ")
    )
    source = tmp_path / "example.cpp"
    source.write_text(
        '#include <cstdio>\n#include "lunart/runner.hpp"\nint main() {\n' + example + "\n}\n"
    )
    include = ROOT / "cpp/include"
    done = subprocess.run(
        ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Werror", f"-I{include}", str(source)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
