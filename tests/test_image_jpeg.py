"""The JPEG reader, where libjpeg is: what it refuses, then that it decodes as Pillow does."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pngs
import pytest
from lunart import _core
from lunart.errors import ScanError
from numpy.typing import NDArray
from PIL import Image


def _smooth(rows: int, cols: int) -> NDArray[np.uint8]:
    """A gradient with some texture: what JPEG is made for."""
    y, x = np.mgrid[:rows, :cols]
    channels = [x * 3 + y, 255 - x - 2 * y, 128 + 60 * np.sin(x / 3) * np.cos(y / 5)]
    return np.clip(np.stack(channels, 2), 0, 255).astype(np.uint8)


def _jpeg(mode: str = "RGB", rows: int = 45, cols: int = 61, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_smooth(rows, cols)).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _supported(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = pngs.write(tmp_path_factory.mktemp("jpeg"), _jpeg(), "picture.jpg")
    try:
        _core.read_image(path)
    except ScanError as error:
        # Without libjpeg the message must say so, and how to go on.
        assert "libjpeg" in str(error)  # noqa: PT017
        assert "PNG" in str(error)  # noqa: PT017
        pytest.skip(f"no libjpeg: {error}")


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(ScanError) as caught:
        _core.read_image(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_refused(progressive: bool, tmp_path: Path) -> None:
    content = _jpeg(progressive=progressive)
    for n in range(3, len(content) - 2, 7):
        _refused(pngs.write(tmp_path, content[:n]), "damaged or cut")


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    content = bytearray(_jpeg())
    content[4:20] = b"\xff" * 16
    _refused(pngs.write(tmp_path, bytes(content)), "damaged or cut")


def test_noise_ends_with_an_error_or_pixels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    content = _jpeg(progressive=True)
    for _ in range(100):
        spoilt = bytearray(content)
        for k in random.integers(20, len(content), 4):
            spoilt[k] = random.integers(256)
        try:
            _core.read_image(pngs.write(tmp_path, bytes(spoilt)))
        except ScanError as error:
            assert "picture.png" in str(error)  # noqa: PT017


def test_four_channels_are_refused(tmp_path: Path) -> None:
    _refused(pngs.write(tmp_path, _jpeg("CMYK")), "4 channels", "RGB")


def test_a_declared_size_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    content = _jpeg()
    place = content.index(b"\xff\xc0") + 5
    large = content[:place] + b"\xff\xdc\xff\xdc" + content[place + 4 :]
    _refused(pngs.write(tmp_path, large), "declares 65500x65500")
    large = content[:place] + b"\x20\0\x20\0" + content[place + 4 :]
    _refused(pngs.write(tmp_path, large), "declares 8192x8192", "cannot hold")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_picture_is_small_and_read(mode: str, progressive: bool, tmp_path: Path) -> None:
    stream = io.BytesIO()
    grey = Image.new(mode, (3000, 2000), 128 if mode == "L" else (128, 128, 128))
    grey.save(stream, "JPEG", quality=1, optimize=True, progressive=progressive)
    found = _core.read_image(pngs.write(tmp_path, stream.getvalue())).rgb
    assert found.shape == (2000, 3000, 3)
    assert (found == 128).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"quality": 100, "subsampling": 0}, {"progressive": True}, {"subsampling": 2},
     {"subsampling": 1, "quality": 30}, {"restart_marker_blocks": 2}],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_are_pillows(mode: str, options: dict[str, object], tmp_path: Path) -> None:
    for rows, cols in ((45, 61), (1, 1), (16, 16), (8, 33)):
        content = _jpeg(mode, rows, cols, **options)
        with Image.open(io.BytesIO(content)) as image:
            expected = np.asarray(image.convert("RGB"))
        found = _core.read_image(pngs.write(tmp_path, content)).rgb
        assert np.array_equal(found, expected)


# --- EXIF ----------------------------------------------------------------------------------------


def _codes(path: Path) -> list[str]:
    image = _core.read_image(path)
    return [code for code, _ in image.warnings]


@pytest.mark.parametrize("value", [1, 2, 3, 6, 8])
def test_a_turned_picture_is_told_and_left_as_it_is(value: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x10F] = "maker"
    exif[0x112] = value
    path = pngs.write(tmp_path, _jpeg(exif=exif.tobytes()), "picture.jpg")
    assert _codes(path) == (["orientation"] if value > 1 else [])
    plain = pngs.write(tmp_path, _jpeg(), "plain.jpg")
    assert np.array_equal(_core.read_image(path).rgb, _core.read_image(plain).rgb)


@pytest.mark.parametrize("endian", ["<", ">"])
def test_either_end_first(endian: str, tmp_path: Path) -> None:
    exif = b"Exif\0\0" + pngs.orientation(6, endian)
    assert _codes(pngs.write(tmp_path, _jpeg(exif=exif), "picture.jpg")) == ["orientation"]


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", b"MM", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
     b"Exif\0\0" + pngs.orientation(9), b"Exif\0\0" + pngs.orientation(0),
     b"Exif\0\0" + pngs.orientation(6)[:22], b"http://ns.adobe.com/xap/1.0/\0"],
    ids=range(9),
)  # fmt: skip
def test_nonsense_in_exif_says_nothing(exif: bytes, tmp_path: Path) -> None:
    assert _codes(pngs.write(tmp_path, _jpeg(exif=exif), "picture.jpg")) == []
