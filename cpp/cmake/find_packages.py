"""Prints where the pip packages that the C++ build needs are, as a CMake list of key=value.

Arguments: those that must be there (torch, openvino, pybind11); of the others, those that are there
are told. Reads files instead of importing torch, which would take seconds at every configure.
"""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path


def find(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def folder_of(package: str, requirement: str) -> Path:
    folder = find(package)
    if folder is None:
        sys.exit(f"{package} is not installed in {sys.executable}: pip install {requirement}")
    return folder


def torch_of(folder: Path) -> dict[str, object]:
    version = re.search(
        r"(?m)^__version__\s*=\s*['\"]([^'\"]+)", (folder / "version.py").read_text()
    )
    if version is None:
        sys.exit(f"{folder / 'version.py'} does not tell the version of torch")
    return {"torch_dir": folder, "torch_version": version[1]}


def openvino_of(folder: Path) -> dict[str, object]:
    return {"openvino_dir": folder, "openvino_version": importlib.metadata.version("openvino")}


def pybind11_of(folder: Path) -> dict[str, object]:
    return {"pybind11_dir": folder / "share/cmake/pybind11"}


found: dict[str, object] = {
    "nlohmann_include": next(
        path.parent.parent
        for path in folder_of("nlohmann_json", "nlohmann-json").rglob("nlohmann/json.hpp")
    ),
}
packages = {"torch": torch_of, "openvino": openvino_of, "pybind11": pybind11_of}
for name, describe in packages.items():
    folder = folder_of(name, name) if name in sys.argv[1:] else find(name)
    if folder is not None:
        found |= describe(folder)
print(";".join(f"{key}={value}" for key, value in found.items()))
