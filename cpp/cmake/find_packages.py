"""Prints where the pip packages that the C++ build needs are, as a CMake list of key=value.

Reads files instead of importing torch, which would take seconds at every configure.
"""

import importlib.util
import re
import sys
from pathlib import Path


def folder_of(package: str, requirement: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed in {sys.executable}: pip install {requirement}")
    return Path(next(iter(spec.submodule_search_locations)))


torch = folder_of("torch", "torch (see README.md for the version)")
version = re.search(r"(?m)^__version__\s*=\s*['\"]([^'\"]+)", (torch / "version.py").read_text())
if version is None:
    sys.exit(f"{torch / 'version.py'} does not tell the version of torch")
found = {
    "torch_dir": torch,
    "torch_version": version[1],
    "pybind11_dir": folder_of("pybind11", "pybind11") / "share/cmake/pybind11",
    "nlohmann_include": next(
        path.parent.parent
        for path in folder_of("nlohmann_json", "nlohmann-json").rglob("nlohmann/json.hpp")
    ),
}
print(";".join(f"{key}={value}" for key, value in found.items()))
