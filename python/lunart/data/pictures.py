"""CIFAR-10 as arrays, from an image folder, an archive of one, or the binary version.

::

    train/<class>/*.jpg (.jpeg, .png)   test/<class>/*.jpg
    data_batch_1.bin ... data_batch_5.bin, test_batch.bin   (cifar-10-binary.tar.gz)

The Python version is a set of pickles, which run code when they are opened: it is refused.

JPEG and PNG are decoded by Pillow, not by the core: the core has no JPEG where libjpeg is missing,
and Pillow brings its own. The two agree to the last bit (``tests/test_image_jpeg.py``).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lunart.data import archive
from lunart.errors import DataError

SIDE = 32
#: In the order of the binary version's labels, which is that of the alphabet.
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
PARTS = ("train", "test")
LAYOUT = (
    "expected train/<class>/*.jpg and test/<class>/*.jpg, a tar archive of that, or CIFAR-10's "
    "binary version (cifar-10-binary.tar.gz)"
)
_PICTURE = re.compile(r"(?:^|/)(train|test)/([^/]+)/[^/]+\.(?:jpe?g|png)$", re.IGNORECASE)
_BATCH = re.compile(r"(?:^|/)(?:data_batch_(\d+)|(test_batch))\.bin$")
_PICKLE = re.compile(r"(?:^|/)(?:data_batch_\d+|test_batch|batches\.meta)$")
_BATCHES = {"1", "2", "3", "4", "5"}
_RECORD = 1 + 3 * SIDE * SIDE
# A batch has 10,000 records.
_MOST_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class Pictures:
    """``rgb (n, 32, 32, 3)``, ``label (n,)`` by :data:`CLASSES`, ``part (n,)`` by :data:`PARTS`.

    All uint8; in the order of part, class and file name.
    """

    rgb: NDArray[np.uint8]
    label: NDArray[np.uint8]
    part: NDArray[np.uint8]


def read_pictures(path: Path) -> Pictures:
    """Read and decode everything. Raises ``DataError``."""
    _require_there(path)
    found: list[tuple[int, int, str, NDArray[np.uint8]]] = []
    batches: set[str] = set()
    for name, content in archive.files(path, wanted, _MOST_BYTES):
        where = f"{path}/{name}"
        if picture := _PICTURE.search(name):
            part, label = PARTS.index(picture[1].lower()), _label(where, picture[2])
            found.append((part, label, name, _decoded(where, content)))
        elif batch := _BATCH.search(name):
            batches.add(batch[1] or batch[2])
            part = PARTS.index("test" if batch[2] else "train")
            found += ((part, label, name, rgb) for label, rgb in _records(where, content))
        else:
            raise DataError(
                f"{where}: CIFAR-10's Python version is pickled, and opening a pickle can run any "
                "code: take the binary version (cifar-10-binary.tar.gz) or an image folder"
            )
    if not found:
        raise DataError(f"{path}: no pictures; {LAYOUT}")
    if batches and not batches >= _BATCHES:
        missing = ", ".join(f"data_batch_{n}.bin" for n in sorted(_BATCHES - batches))
        raise DataError(f"{path}: {missing} missing; the binary version has five, and a test batch")
    # A stable sort: records of a batch stay in their order.
    found.sort(key=lambda one: one[:3])
    parts, labels, _, rgb = zip(*found, strict=True)
    # Records of the binary version are planes of one colour: stacked, they would stay so.
    return Pictures(
        np.ascontiguousarray(np.stack(rgb)), np.array(labels, np.uint8), np.array(parts, np.uint8)
    )


def state(path: Path) -> str:
    """What tells the contents of a folder or archive apart. Raises ``DataError``."""
    _require_there(path)
    return archive.state(path, wanted)


def wanted(name: str) -> bool:
    """Whether a file is one of CIFAR-10's, also one that is refused."""
    return any(pattern.search(name) for pattern in (_PICTURE, _BATCH, _PICKLE))


def _require_there(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {LAYOUT}")


def _label(where: str, name: str) -> int:
    if name not in CLASSES:
        raise DataError(f"{where}: {name} is no class of CIFAR-10: {', '.join(CLASSES)}")
    return CLASSES.index(name)


def _decoded(where: str, content: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is judged below, or its metadata
            picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
            size = picture.size
            # Before it is decoded: a picture can be far larger than its file.
            rgb = np.asarray(picture.convert("RGB")) if size == (SIDE, SIDE) else None
    except Exception as error:
        # Whatever a damaged picture makes Pillow raise: it documents OSError alone, and there is
        # more (SyntaxError, ValueError, struct.error).
        raise DataError(f"{where}: cannot be decoded, no JPEG or PNG or damaged") from error
    if rgb is None:
        raise DataError(f"{where}: {size[0]}x{size[1]} pixels, expected {SIDE}x{SIDE}")
    return rgb


def _records(where: str, content: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    if not content or len(content) % _RECORD:
        raise DataError(
            f"{where}: {len(content)} bytes are not a number of records of {_RECORD}: cut or other"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise DataError(
            f"{where}: label {records[:, 0].max()}, expected 0 to {len(CLASSES) - 1}: "
            "another data set?"
        )
    pixels = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return zip(records[:, 0].tolist(), pixels, strict=True)
