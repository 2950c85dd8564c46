"""Builds dist/lunart-sdk-<version>-<engine>: a folder with all that luna_infer needs but glibc.

CMake builds and lays out what is ours; this adds the libraries of others with their licences, and
refuses to finish when a library is missing or the folder is larger than it is said to be. It is
made beside its place and renamed: there whole, or not at all.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import string
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

import elf
from component_list import write_component_list
from components import ROOT, Component, components_of, itk_components

LIMIT_MB = {"openvino": 120, "onnxruntime": 60}
FORMATS = {
    False: "Scans are MetaImage (.mhd, .mha).",
    True: "Scans are MetaImage (.mhd, .mha); with the building system's packages of ITK, GDCM and "
    "libzip\nalso NRRD, NIfTI and DICOM (a folder, a zip, a file).",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=sorted(LIMIT_MB), default="openvino")
    parser.add_argument(
        "--itk",
        action="store_true",
        help="also NRRD, NIfTI and DICOM, where Debian's ITK, GDCM and libzip of the building "
        "system are installed",
    )
    parser.add_argument("--build", type=Path, help="default: build/sdk-<engine>")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="default: dist")
    options = parser.parse_args()
    others = components_of(options.engine)  # before minutes of compiling
    if options.itk:
        others += itk_components()
    version = version_of_project()
    build = options.build or ROOT / "build" / f"sdk-{options.engine}"
    sdk = options.dist.resolve() / f"lunart-sdk-{version}-{options.engine}"
    sdk.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{sdk.name}.", dir=sdk.parent) as work:
        staged = Path(work) / "sdk"
        build_and_install(build, options, version, staged)
        ours = elf.binaries(staged)
        add(staged, others)
        write_readme(staged, options, version)
        write_component_list(staged, version, ours, others)
        check(staged, LIMIT_MB[options.engine])
        if sdk.exists():
            sdk.rename(Path(work) / "old")
        staged.rename(sdk)
    print(f"{sdk}: {megabytes(sdk):.1f} MB of {LIMIT_MB[options.engine]}")


def version_of_project() -> str:
    found = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    if found is None:
        sys.exit(f"{ROOT / 'pyproject.toml'} does not tell the version")
    return found[1]


def build_and_install(build: Path, options: argparse.Namespace, version: str, prefix: Path) -> None:
    # cmake and ninja of this environment, also when it is not activated.
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    cmake, ninja = (shutil.which(name, path=path) or name for name in ("cmake", "ninja"))
    settings = {
        "CMAKE_MAKE_PROGRAM": ninja,
        "LUNART_ENGINES": options.engine,
        "LUNART_PYTHON": "OFF",
        "LUNART_VERSION": version,
        "LUNART_WITH_ITK": "ON" if options.itk else "OFF",
        "Python_EXECUTABLE": sys.executable,
    }
    for command in (
        ["-G", "Ninja", "-S", ROOT, "-B", build, *(f"-D{k}={v}" for k, v in settings.items())],
        ["--build", build],
        ["--install", build, "--prefix", prefix, "--strip"],
    ):
        done = subprocess.run([cmake, *command], stdout=sys.stderr)
        if done.returncode:
            sys.exit(done.returncode)


def add(sdk: Path, others: Iterable[Component]) -> None:
    for component in others:
        for file in component.files:
            target = sdk / "lib/lunart" / file.name
            shutil.copy(file, target)  # what a link leads to
            target.chmod(0o755)
            if not elf.is_stripped(target):
                subprocess.run(["strip", "--strip-unneeded", target], check=True)
        texts = sdk / "licenses" / component.name
        texts.mkdir()
        for text in component.texts:
            shutil.copyfile(text, texts / text.name)


def write_readme(sdk: Path, options: argparse.Namespace, version: str) -> None:
    glibc = ".".join(map(str, max(map(elf.glibc, elf.binaries(sdk)))))
    template = string.Template(Path(__file__).with_name("README.txt").read_text())
    text = template.substitute(
        version=version, engine=options.engine, glibc=glibc, formats=FORMATS[options.itk]
    )
    (sdk / "README.txt").write_text(text)


def check(sdk: Path, limit_mb: float) -> None:
    problems = elf.problems(sdk)
    if megabytes(sdk) > limit_mb:
        problems.append(f"{megabytes(sdk):.1f} MB is more than {limit_mb}")
    if problems:
        sys.exit("the SDK is not made:\n  " + "\n  ".join(problems))


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
