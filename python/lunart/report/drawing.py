"""Lines and words over a picture, smooth and readable on grey: outline, scale bar, letters."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Rgb = tuple[int, int, int]
Picture = NDArray[np.uint8]
#: One (x, y) a row, in pixels; (0, 0) is the centre of the first.
Line = NDArray[np.float64]

#: What was found; seen by all kinds of colour vision on every grey.
FOUND: Rgb = (255, 176, 0)
#: An expert's label.
EXPERT: Rgb = (86, 180, 255)
WORDS: Rgb = (255, 255, 255)
#: Where the scan has no voxels.
NOTHING: Rgb = (24, 30, 46)
# Lines are drawn this much larger and averaged, which Pillow's own lines are not.
_FINER = 3
_BARS_MM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def grey(hu: NDArray[np.float32], window_hu: tuple[float, float]) -> Picture:
    """HU as grey (h, w, 3): black at the window's low end, white at its high; NaN is nothing."""
    low, high = window_hu
    level = np.clip((np.nan_to_num(hu, nan=low) - low) * (255 / (high - low)), 0, 255)
    picture = np.repeat(np.rint(level).astype(np.uint8)[..., None], 3, axis=2)
    picture[np.isnan(hu)] = NOTHING
    return picture


def outline(field: NDArray[np.float32]) -> list[Line]:
    """The closed lines around where a field (h, w) of 0…1 exceeds one half."""
    import contourpy

    padded = np.pad(field, 1)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    return [np.asarray(line) - 1 for line in lines]


def draw_lines(
    picture: Picture, lines: Iterable[Sequence[Sequence[float]] | Line], color: Rgb, width: float
) -> None:
    """Draw smooth lines, ``width`` pixels wide, into a picture."""
    height, across = picture.shape[:2]
    cover = Image.new("L", (across * _FINER, height * _FINER))
    pen = ImageDraw.Draw(cover)
    for line in lines:
        points = [((x + 0.5) * _FINER, (y + 0.5) * _FINER) for x, y in line]
        pen.line(points, fill=255, width=max(1, round(width * _FINER)), joint="curve")
    share = np.asarray(cover.reduce(_FINER), np.float32)[..., None] / 255
    picture[:] = np.rint(picture * (1 - share) + np.array(color, np.float32) * share)


def circle(x: float, y: float, radius: float) -> Line:
    """A closed line."""
    turn = np.linspace(0, 2 * math.pi, 65)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write(
    picture: Picture,
    text: str,
    at: tuple[float, float],
    *,
    anchor: str,
    size: int,
    color: Rgb = WORDS,
) -> None:
    """Write text with a dark rim; ``anchor`` is Pillow's, two letters such as ``lt``."""
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(
        at, text, fill=color, anchor=anchor, font=_font(size), stroke_width=2, stroke_fill=(0, 0, 0)
    )
    picture[:] = np.asarray(image)


def width_of(text: str, size: int) -> float:
    """Pixels that a text is wide."""
    return float(_font(size).getlength(text))


def bar_mm(across_mm: float) -> int:
    """A round length for the scale bar of a picture this wide: about a fifth of it."""
    return max((bar for bar in _BARS_MM if bar <= across_mm / 4), default=_BARS_MM[0])


def draw_scale_bar(picture: Picture, mm_per_pixel: float) -> None:
    """A white bar at the lower left whose length in pixels is its millimetres, to a pixel."""
    height, width = picture.shape[:2]
    length_mm = bar_mm(width * mm_per_pixel)
    length = round(length_mm / mm_per_pixel)
    thick, margin = max(3, height // 120), max(6, height // 32)
    bottom, left = height - margin, margin
    picture[bottom - thick - 1 : bottom + 1, left - 1 : left + length + 1] = 0
    picture[bottom - thick : bottom, left : left + length] = WORDS
    size = max(13, height // 24)
    write(picture, f"{length_mm} mm", (left, bottom - thick - 4), anchor="lb", size=size)


def draw_sides(picture: Picture, left: str, right: str, top: str, bottom: str) -> None:
    """The letters of the patient's sides at the middle of each edge."""
    height, width = picture.shape[:2]
    size = max(15, height // 18)
    margin = 6
    for text, at, anchor in (
        (left, (margin, height / 2), "lm"),
        (right, (width - margin, height / 2), "rm"),
        (top, (width / 2, margin), "mt"),
        (bottom, (width / 2, height - margin), "mb"),
    ):
        write(picture, text, at, anchor=anchor, size=size)


def png(picture: Picture) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()
