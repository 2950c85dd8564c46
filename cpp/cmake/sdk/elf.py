"""What the dynamic loader will want of a folder of programs and libraries, told by readelf."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# What every Linux with glibc has, whatever else it lacks.
_GLIBC = re.compile(r"(libc|libm|libdl|libpthread|librt|ld-linux-x86-64)\.so\.\d+")


def binaries(folder: Path) -> list[Path]:
    """Every ELF file below ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _is_elf(path))


def needed(binary: Path) -> set[str]:
    """The libraries that it names, but for glibc's."""
    names = set(re.findall(r"\(NEEDED\).*\[(.+)\]", _readelf("--dynamic", binary)))
    return {name for name in names if not _GLIBC.fullmatch(name)}


def run_paths(binary: Path) -> list[str]:
    """Where it has them searched first."""
    found = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", _readelf("--dynamic", binary))
    return [path for paths in found for path in paths.split(":")]


def glibc(binary: Path) -> tuple[int, ...]:
    """The oldest glibc that has every symbol it wants."""
    versions = re.findall(r"Name: GLIBC_([\d.]+) ", _readelf("--version-info", binary))
    return max((tuple(map(int, version.split("."))) for version in versions), default=(0,))


def is_stripped(binary: Path) -> bool:
    return " .symtab " not in _readelf("--section-headers", binary)


def problems(folder: Path) -> list[str]:
    """Why the folder would not run by itself, wherever it lies; empty: it will.

    The module for other formats of scans is left out: it is opened when its libraries are there.
    """
    found = []
    for binary in binaries(folder):
        paths = run_paths(binary)
        found += [f"{binary}: run path {path}" for path in paths if not path.startswith("$ORIGIN")]
        # The libraries of a program's libraries are met by the program's own run path first.
        for name in needed(binary) if binary.name != "liblunart_itk.so" else ():
            if not any((folder / place / name).exists() for place in ("lib", "lib/lunart")):
                found.append(f"{binary}: needs {name}, which is not in {folder}")
    return found


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _readelf(what: str, binary: Path) -> str:
    command = ["readelf", "--wide", what, str(binary)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
