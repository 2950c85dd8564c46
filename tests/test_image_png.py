"""The PNG reader: what it refuses, then that it decodes every kind of PNG as Pillow does."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pngs
import pytest
from lunart import _core
from lunart.errors import ScanError
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
GOOD = pngs.random_png(5, 7, pngs.RGB, 8)
PIXELS = pngs.chunk(b"IDAT", zlib.compress(bytes(5 * (1 + 7 * 3))))


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(ScanError) as caught:
        _core.read_image(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in (path.name, *words):
        assert word in message, message


def _decoded(path: Path) -> Pixels:
    return _core.read_image(path).rgb


def _by_pillow(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as image, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Palette images with Transparency")
        return np.asarray(image.convert("RGB"))


# --- refused -------------------------------------------------------------------------------------


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    _refused(tmp_path / "none.png", "No such file")
    (tmp_path / "folder.png").mkdir()
    _refused(tmp_path / "folder.png", "folder")
    os.mkfifo(tmp_path / "pipe.png")
    _refused(tmp_path / "pipe.png", "regular file")
    _refused(pngs.write(tmp_path, b""), "empty")


@pytest.mark.parametrize("content", [b"GIF89a\x01\0", b"\x89PNG", b"\x89PNG\r\n\x1a", b"x" * 99])
def test_another_format_is_refused_with_the_way_out(content: bytes, tmp_path: Path) -> None:
    _refused(pngs.write(tmp_path, content), "neither PNG nor JPEG", "convert")


def test_a_scan_is_no_picture_and_the_message_says_what_reads_it(small_scan: Path) -> None:
    _refused(small_scan, "scan", "lunart.Runner", "luna_infer")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for n in range(len(pngs.SIGNATURE), len(GOOD)):
        path = pngs.write(tmp_path, GOOD[:n])
        with pytest.raises(ScanError, match="truncated"):
            _core.read_image(path)


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    for k in range(len(pngs.SIGNATURE), len(GOOD)):
        spoilt = bytearray(GOOD)
        spoilt[k] ^= 1 << (k % 8)
        path = pngs.write(tmp_path, bytes(spoilt))
        with pytest.raises(ScanError, match=r"picture\.png"):
            _core.read_image(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pngs.png(pngs.header(5, 7)), ["IDAT"]),
        (pngs.png(PIXELS), ["IHDR"]),
        (pngs.png(pngs.header(5, 7), pngs.chunk(b"CgBI"), PIXELS), ["CgBI"]),
        (pngs.png(pngs.header(5, 7, pngs.PALETTE), PIXELS), ["palette"]),
        (
            pngs.png(pngs.header(5, 7, pngs.PALETTE), pngs.chunk(b"PLTE", bytes(5)), PIXELS),
            ["palette", "5 bytes"],
        ),
        (pngs.png(pngs.header(5, 7, 1), PIXELS), ["colour type 1"]),
        (pngs.png(pngs.header(5, 7, pngs.RGB, 4), PIXELS), ["4 bits"]),
        (pngs.png(pngs.header(5, 7, interlaced=2), PIXELS), ["interlace"]),
        (pngs.png(pngs.header(0, 7), PIXELS), ["0x7"]),
        (pngs.png(pngs.header(5, 7), pngs.chunk(b"IDAT", zlib.compress(b"x"))), ["truncated"]),
        (pngs.png(pngs.header(5, 7), pngs.chunk(b"IDAT", b"no zlib stream")), ["damaged"]),
        (pngs.png(pngs.header(5, 7), pngs.chunk(b"IDAT")), ["truncated"]),
        (
            pngs.png(pngs.header(1, 1), pngs.chunk(b"IDAT", zlib.compress(b"\5abc"))),
            ["filter 5"],
        ),
        (pngs.png(pngs.header(5, 7), PIXELS, pngs.chunk(b"tEXt"), PIXELS), ["two places"]),
        (pngs.SIGNATURE + struct.pack(">I", 0xFFFFFFFF) + b"IHDR" + bytes(20), ["truncated"]),
        (pngs.SIGNATURE + bytes(40), ["no chunk"]),
    ],
    ids=range(16),
)
def test_what_png_does_not_allow_is_named(content: bytes, words: list[str], tmp_path: Path) -> None:
    _refused(pngs.write(tmp_path, content), *words)


BOMBS = [
    (2**31 - 1, 2**31 - 1, "declares"),
    (2**17 + 1, 1, "sides"),
    (2**14, 2**14, "declares"),
    (8192, 8192, "cannot hold"),  # fits, but not into the few bytes that follow
]
_READER = """
import resource, sys
from lunart import _core
from lunart.errors import ScanError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        _core.read_image(path)
    except ScanError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_declared_size_takes_no_memory(tmp_path: Path) -> None:
    paths = [
        pngs.write(tmp_path, pngs.png(pngs.header(rows, cols), PIXELS), f"{k}.png")
        for k, (rows, cols, _) in enumerate(BOMBS)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _READER, *map(str, paths)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    *messages, grown_mb = done.stdout.splitlines()
    for path, message, (_, _, word) in zip(paths, messages, BOMBS, strict=True):
        assert path.name in message
        assert word in message
    assert float(grown_mb) < 16


# --- decoded -------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "adam7"])
@pytest.mark.parametrize(("colour", "depth"), pngs.KINDS)
def test_every_kind_is_decoded_as_pillow_does(
    colour: int, depth: int, interlaced: bool, tmp_path: Path
) -> None:
    for seed, (rows, cols) in enumerate([(1, 1), (1, 9), (13, 3), (9, 16), (33, 31), (5, 2)]):
        content = pngs.random_png(rows, cols, colour, depth, interlaced=interlaced, seed=seed)
        found = _decoded(pngs.write(tmp_path, content))
        expected = _by_pillow(content)
        assert found.shape == (rows, cols, 3)
        assert np.array_equal(found, expected), (rows, cols)


def test_pixels_in_several_parts_are_one_stream(tmp_path: Path) -> None:
    content = pngs.random_png(20, 30, pngs.RGB, 8, parts=7)
    assert np.array_equal(_decoded(pngs.write(tmp_path, content)), _by_pillow(content))


@pytest.mark.parametrize(
    ("colour", "depth", "transparency"),
    [
        (pngs.GREY, 2, b"\0\1"),
        (pngs.RGB, 8, b"\0\1\0\2\0\3"),
        (pngs.PALETTE, 8, bytes(range(256))),
        (pngs.PALETTE, 2, b"\0"),
    ],
)
def test_transparent_colours_stay_as_with_pillow(
    colour: int, depth: int, transparency: bytes, tmp_path: Path
) -> None:
    extra = [pngs.chunk(b"tRNS", transparency), pngs.chunk(b"gAMA", struct.pack(">I", 45455))]
    content = pngs.random_png(9, 9, colour, depth, extra=extra)
    assert np.array_equal(_decoded(pngs.write(tmp_path, content)), _by_pillow(content))


def test_colours_that_the_palette_has_not_are_black_as_with_pillow(tmp_path: Path) -> None:
    rows = zlib.compress(b"".join(b"\0" + bytes([k, 255 - k]) for k in range(256)))
    content = pngs.png(
        pngs.header(256, 2, pngs.PALETTE),
        pngs.chunk(b"PLTE", bytes(range(30))),
        pngs.chunk(b"IDAT", rows),
    )
    found = _decoded(pngs.write(tmp_path, content))
    assert np.array_equal(found, _by_pillow(content))
    assert not found[10:245].any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_what_pillow_writes_is_read(mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "picture.png")
    expected = _by_pillow((tmp_path / "picture.png").read_bytes())
    assert np.array_equal(_decoded(tmp_path / "picture.png"), expected)


def test_bytes_after_the_end_and_a_wrong_name_do_not_matter(tmp_path: Path) -> None:
    expected = _by_pillow(GOOD)
    assert np.array_equal(_decoded(pngs.write(tmp_path, GOOD + b"more")), expected)
    assert np.array_equal(_decoded(pngs.write(tmp_path, GOOD, "picture.jpg")), expected)
