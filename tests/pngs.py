"""Writing PNG files of every kind: Pillow writes no Adam7, and not every depth."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
#: Every pair of colour type and bit depth that PNG has.
KINDS = [
    *((GREY, depth) for depth in (1, 2, 4, 8, 16)),
    *((PALETTE, depth) for depth in (1, 2, 4, 8)),
    *((colour, depth) for colour in (RGB, GREY_ALPHA, RGBA) for depth in (8, 16)),
]
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1))  # fmt: skip


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(rows: int, cols: int, colour: int = RGB, depth: int = 8, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, depth, colour, 0, 0, interlaced))


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def random_png(
    rows: int, cols: int, colour: int, depth: int, *, interlaced: bool = False, seed: int = 0,
    extra: Sequence[bytes] = (), parts: int = 1,
) -> bytes:  # fmt: skip
    """Random bits as pixels, every row with another filter; ``extra`` chunks before the pixels."""
    random = np.random.default_rng(seed)
    bits = CHANNELS[colour] * depth
    raw = b""
    for row, col, row_step, col_step in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        height = -(-(rows - row) // row_step)
        width = -(-(cols - col) // col_step)
        if height < 1 or width < 1:
            continue
        for line in range(height):
            filtered = random.bytes(-(-width * bits // 8))
            raw += bytes([(line + seed) % 5]) + filtered
    data = zlib.compress(raw, 1)
    step = -(-len(data) // parts)
    pixels = [chunk(b"IDAT", data[k : k + step]) for k in range(0, len(data), step)]
    palette = [chunk(b"PLTE", random.bytes(3 * 2**depth))] if colour == PALETTE else []
    return png(header(rows, cols, colour, depth, int(interlaced)), *palette, *extra, *pixels)


def orientation(value: int, endian: str = ">") -> bytes:
    """EXIF that says nothing but which way up the camera was, after another tag."""
    mark = b"MM" if endian == ">" else b"II"
    entries = struct.pack(f"{endian}HHIHH", 0x10F, 2, 1, 0, 0)
    entries += struct.pack(f"{endian}HHIHH", 0x112, 3, 1, value, 0)
    head = struct.pack(f"{endian}HIH", 42, 8, 2)
    return mark + head + entries + struct.pack(f"{endian}I", 0)


def write(folder: Path, content: bytes, name: str = "picture.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
