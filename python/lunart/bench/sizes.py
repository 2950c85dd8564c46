"""What must be shipped to run an engine, from real files: what the process maps when it runs."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import lunart

# Part of every Linux machine.
_SYSTEM = ("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libgcc_s.",
           "libstdc++.", "libutil.", "libresolv.", "libnss_")  # fmt: skip


def mapped_libraries() -> set[Path]:
    """The shared libraries in this process, but for those of the system."""
    found = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.partition("/")[2]
        name = path.rpartition("/")[2]
        if ".so" in name and not name.startswith(_SYSTEM):
            found.add(Path("/" + path))
    return found


def megabytes(files: set[Path]) -> float:
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def package_megabytes(packages: tuple[str, ...]) -> float:
    """Of installed Python packages with all their files, and of lunart's own."""
    own = Path(lunart.__file__).parent
    total = sum(file.stat().st_size for file in own.rglob("*") if file.is_file())
    for package in packages:
        for file in metadata.files(package) or []:
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.is_file() else 0
    return total / 1e6
