"""What an SDK ships that is not ours: its version, licence, files, and the texts that go with it.

Libraries come from the pip package of the engine and, where the compiler finds them, from the
system. Only what an engine opens is shipped; of OpenVINO that is the library, the CPU's plugin and
the readers of .onnx and of its own format, which the model cache holds. TBB opens tbbmalloc and
tbbbind (with hwloc, for processors with unequal cores) when they are there.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LICENSES = ROOT / "licenses"
PROGRAM, LIBRARY = "bin/luna_infer", "lib/liblunart.so"


@dataclass(frozen=True, kw_only=True)
class Component:
    name: str
    version: str
    licence: str  # an SPDX expression
    purl: str
    files: tuple[Path, ...] = ()  # shipped as they are, in lib/lunart
    within: tuple[str, ...] = ()  # files of the SDK that it is compiled into
    texts: tuple[Path, ...]  # its licence and notices


def components_of(engine: str) -> list[Component]:
    return [*{"openvino": _openvino, "onnxruntime": _onnxruntime}[engine](), *_common()]


def itk_components() -> list[Component]:
    """What is compiled into the module for other formats; its libraries stay the system's."""
    module = ("lib/lunart/liblunart_itk.so",)
    return [
        Component(
            name=name,
            version=version,
            licence=licence,
            purl=f"pkg:generic/{name}@{version}",
            within=module,
            texts=(LICENSES / f"{name}.txt",),
        )
        for name, version, licence in (
            ("itk", _version_of_package("libinsighttoolkit5-dev"), "Apache-2.0"),
            ("gdcm", _version_of_package("libgdcm-dev"), "BSD-3-Clause"),
        )
    ]


def _openvino() -> list[Component]:
    package = _distribution("openvino")
    libs = Path(str(package.locate_file("openvino/libs")))
    texts = {path.name: path for path in _files_of(package, r".*dist-info/licenses/.*")}
    apache = texts["LICENSE"]
    notices = texts["onetbb_third-party-programs.txt"]
    tbb = re.search(r"(?m)^Version: (.+)$", (libs / "tbb.pc").read_text())
    hwloc = re.search(rb"\0(\d+\.\d+\.\d+[\w.-]*)\0", (libs / "libhwloc.so.15").read_bytes())
    if tbb is None or hwloc is None:
        sys.exit(f"{libs}: the version of {'oneTBB' if tbb is None else 'hwloc'} is not told")
    return [
        Component(
            name="openvino",
            version=package.version,
            licence="Apache-2.0",
            purl=f"pkg:pypi/openvino@{package.version}",
            files=(
                _only(libs, "libopenvino.so.*"),
                _only(libs, "libopenvino_intel_cpu_plugin.so"),
                _only(libs, "libopenvino_ir_frontend.so.*"),
                _only(libs, "libopenvino_onnx_frontend.so.*"),
            ),
            texts=tuple(path for name, path in texts.items() if path != notices),
        ),
        Component(
            name="onetbb",
            version=tbb[1],
            licence="Apache-2.0",
            purl=f"pkg:github/uxlfoundation/oneTBB@v{tbb[1]}",
            files=(
                _only(libs, "libtbb.so.*"),
                _only(libs, "libtbbbind_*.so.*"),
                _only(libs, "libtbbmalloc.so.*"),
            ),
            texts=(apache, notices),
        ),
        Component(
            name="hwloc",
            version=hwloc[1].decode(),
            licence="BSD-3-Clause",
            purl=f"pkg:generic/hwloc@{hwloc[1].decode()}",
            files=(_only(libs, "libhwloc.so.*"),),
            texts=(notices,),  # which has hwloc's
        ),
    ]


def _onnxruntime() -> list[Component]:
    package = _distribution("onnxruntime")
    folder = Path(str(package.locate_file("onnxruntime")))
    return [
        Component(
            name="onnxruntime",
            version=package.version,
            licence="MIT",
            purl=f"pkg:pypi/onnxruntime@{package.version}",
            files=(_only(folder / "capi", "libonnxruntime.so.*"),),
            within=(PROGRAM, LIBRARY),  # its headers
            texts=(folder / "LICENSE", folder / "ThirdPartyNotices.txt"),
        )
    ]


def _common() -> list[Component]:
    json = _distribution("nlohmann-json")
    zlib, stdcxx, gcc = map(_system_library, ("libz.so.1", "libstdc++.so.6", "libgcc_s.so.1"))
    gcc_texts = tuple(sorted((LICENSES / "sdk/gcc-runtime").iterdir()))
    return [
        Component(
            name="nlohmann-json",
            version=json.version,
            licence="MIT",
            purl=f"pkg:pypi/nlohmann-json@{json.version}",
            within=(PROGRAM, LIBRARY),
            texts=(LICENSES / "nlohmann-json.txt",),
        ),
        Component(
            name="zlib",
            version=_version_of(zlib),
            licence="Zlib",
            purl=f"pkg:generic/zlib@{_version_of(zlib)}",
            files=(zlib,),
            within=(PROGRAM,),
            texts=(LICENSES / "zlib.txt",),
        ),
        *(
            Component(
                name=name,
                version=_version_of(file),
                licence="GPL-3.0-or-later WITH GCC-exception-3.1",
                purl=f"pkg:generic/{name}@{_version_of(file)}",
                files=(file,),
                texts=gcc_texts,
            )
            for name, file in (("libstdc++", stdcxx), ("libgcc", gcc))
        ),
    ]


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"{name} is not installed in {sys.executable}: pip install {name}")


def _files_of(package: importlib.metadata.Distribution, pattern: str) -> list[Path]:
    files = [file for file in package.files or [] if re.fullmatch(pattern, str(file))]
    return [Path(str(package.locate_file(file))) for file in files]


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder}: {len(found)} files are {pattern}, expected one; install it again")
    return found[0]


def _system_library(name: str) -> Path:
    """As the compiler finds it, under the name that the loader looks for."""
    path = Path(_printed_by("g++", f"-print-file-name={name}"))
    if not path.is_absolute():
        sys.exit(f"g++ does not find {name}; install it with the compiler")
    return path


def _version_of(library: Path) -> str:
    """Of the package that brought it; elsewhere its file's name tells, or the compiler."""
    try:
        # By its name alone: where /lib is a link, packages keep either path.
        owner = _printed_by("dpkg-query", "--search", f"*/{library.name}").split(":")[0]
        version = _printed_by("dpkg-query", "--show", "--showformat=${Version}", owner)
        return version.split(":")[-1]  # without the epoch
    except (OSError, subprocess.CalledProcessError):
        number = re.search(r"\.so\.(\d+\.\d+.*)$", library.resolve().name)
        return number[1] if number else _printed_by("g++", "-dumpfullversion")


def _version_of_package(name: str) -> str:
    try:
        version = _printed_by("dpkg-query", "--show", "--showformat=${Version}", name)
    except (OSError, subprocess.CalledProcessError):
        sys.exit(f"{name} is not installed: apt-get install {name}")
    return version.split(":")[-1]  # without the epoch


def _printed_by(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()
