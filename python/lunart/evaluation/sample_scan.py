"""A real chest CT with an expert's label, out of pyradiomics' source archive (BSD licence).

    python -m lunart.evaluation.sample_scan pyradiomics-3.0.1.tar.gz FOLDER

writes ``FOLDER/lung1.mhd`` and ``FOLDER/lung1_label.mhd``: 48 slices of 5 mm, one nodule of 14 mm.
Nothing of lunart is trained on it. ``make demo-real`` fetches the archive by pip.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lunart.cli import Parser, run, say
from lunart.errors import DataError, OutputError

_PROG = "python -m lunart.evaluation.sample_scan"
_MOST_BYTES = 1 << 28
# Scan and label: the archive's name of each, and ours.
FILES = {"lung1_image.nrrd": "lung1.mhd", "lung1_label.nrrd": "lung1_label.mhd"}


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Write the scan and its label. Raises ``DataError`` or ``OutputError``."""
    import SimpleITK  # its functions are untyped

    sitk: Any = SimpleITK
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    written = []
    with tempfile.TemporaryDirectory() as place:
        for name, own in FILES.items():
            beside = Path(place, name)
            beside.write_bytes(_member(archive, name))
            try:
                image = sitk.Cast(sitk.ReadImage(str(beside)), sitk.sitkInt16)
                sitk.WriteImage(image, str(folder / own), True)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise DataError(f"{archive}: {name} cannot be converted ({reason})") from error
            written.append(folder / own)
    return written


def _member(archive: Path, name: str) -> bytes:
    try:
        with tarfile.open(archive) as file:
            for member in file:
                if member.isfile() and Path(member.name).name == name:
                    opened = file.extractfile(member)
                    if opened is None or member.size > _MOST_BYTES:
                        break
                    return opened.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error})") from error
    raise DataError(f"{archive}: holds no {name}; expected the source archive of pyradiomics 3.0.1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="test")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Unpack a real chest CT with an expert's label.")
    parser.add_argument("archive", type=Path, help="pyradiomics-3.0.1.tar.gz")
    parser.add_argument("folder", type=Path, help="for the scan and its label")
    options = parser.parse_args(argv)
    for path in unpack(options.archive, options.folder):
        say(str(path))


if __name__ == "__main__":
    sys.exit(main())
