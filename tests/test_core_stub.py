"""The committed stub of the extension module says what the module offers."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy.stubtest", reason="mypy is not installed")

# pybind11's classes have a metaclass, and those without a constructor take anything to refuse it.
ALLOWED = r"lunart\._core\.\w+(\.__init__)?"


def test_stub_and_module_offer_the_same(tmp_path):
    allowlist = tmp_path / "allowlist"
    allowlist.write_text(ALLOWED)
    command = [sys.executable, "-m", "mypy.stubtest", "lunart._core", "--ignore-unused-allowlist"]
    done = subprocess.run(
        [*command, "--allowlist", str(allowlist)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_stub_names_every_function_and_class():
    from pathlib import Path

    from lunart import _core

    stub = Path(_core.__file__).with_name("_core.pyi").read_text()
    named = set(re.findall(r"^(?:class|def) (\w+)", stub, re.M))
    offered = {name for name in vars(_core) if not name.startswith("_")}
    assert named == offered
