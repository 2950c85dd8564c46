"""One picture that sums a report up, for terminals, notes and chats: overview and first nodules."""

from __future__ import annotations

import numpy as np

from lunart.report import drawing
from lunart.report.contents import Contents, Shown
from lunart.report.drawing import Picture
from lunart.report.page import DISCLAIMER, decimals, plain, probability, summary

#: Nodules drawn; more would be too small to see.
MOST_ROWS = 5
PLANE_PIXELS = 240
_GAP = 10
_TEXT = 18
_LINE = 26
# No hostile name makes a picture of any height.
_MOST_LETTERS = 300
_INK = (20, 23, 27)


def preview(it: Contents) -> Picture:
    """The picture (h, w, 3). ``it`` needs planes of ``PLANE_PIXELS`` for its first nodules."""
    rows = [_row(one) for one in it.nodules[:MOST_ROWS] if one.planes]
    # The overview at the left of many nodules, else above.
    below = len(rows) < 2
    body = _below([it.overview.rgb, *rows]) if below else _beside(it.overview.rgb, _below(rows))
    head = _words(body.shape[1], [it.scan_name, summary(it)])
    more = len(it.nodules) - len(rows)
    last = [f"{more} more not shown."] if more and rows else []
    return _framed(_below([head, body, _words(body.shape[1], [*last, DISCLAIMER])]))


def _row(one: Shown) -> Picture:
    pictures = _across([plane.rgb for plane in one.planes])
    finding = one.finding
    rated = "" if finding.malignancy is None else f", malignancy {probability(finding.malignancy)}"
    text = (
        f"{one.number}: {decimals(finding.diameter_mm, 1)} mm, "
        f"p {probability(finding.probability)}{rated}"
    )
    return _below([_words(pictures.shape[1], [text, str(one.place)]), pictures])


def _words(width: int, texts: list[str]) -> Picture:
    lines = [line for text in texts for line in _broken(plain(text)[:_MOST_LETTERS], width)]
    picture = np.full((_LINE * len(lines), width, 3), _INK, np.uint8)
    for k, line in enumerate(lines):
        drawing.write(picture, line, (0, k * _LINE), anchor="la", size=_TEXT)
    return picture


def _broken(text: str, width: int) -> list[str]:
    """Lines that have room, broken between words, or within one that has none."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if drawing.width_of(joined, _TEXT) <= width:
            lines[-1] = joined
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while drawing.width_of(lines[-1], _TEXT) > width and len(lines[-1]) > 1:
            fits = next(
                n for n in range(len(lines[-1]) - 1, 0, -1)
                if n == 1 or drawing.width_of(lines[-1][:n], _TEXT) <= width
            )  # fmt: skip
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return lines


def _across(pictures: list[Picture]) -> Picture:
    gap = np.full((pictures[0].shape[0], _GAP, 3), _INK, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=1)


def _beside(left: Picture, right: Picture) -> Picture:
    high = max(left.shape[0], right.shape[0])
    return _across([_filled(left, high, left.shape[1]), _filled(right, high, right.shape[1])])


def _below(pictures: list[Picture]) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    gap = np.full((_GAP, width, 3), _INK, np.uint8)
    wide = [_filled(picture, picture.shape[0], width) for picture in pictures]
    return np.concatenate([part for picture in wide for part in (gap, picture)][1:], axis=0)


def _filled(picture: Picture, height: int, width: int) -> Picture:
    whole = np.full((height, width, 3), _INK, np.uint8)
    whole[: picture.shape[0], : picture.shape[1]] = picture
    return whole


def _framed(picture: Picture) -> Picture:
    high, wide = picture.shape[:2]
    whole = np.full((high + 2 * _GAP, wide + 2 * _GAP, 3), _INK, np.uint8)
    whole[_GAP:-_GAP, _GAP:-_GAP] = picture
    return whole
