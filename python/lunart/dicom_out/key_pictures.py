"""Which of the report's pictures are captured: the overview, and each nodule's three planes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lunart import _core
from lunart.dicom_out.captures import KeyPicture
from lunart.dicom_out.nodules import Nodule
from lunart.report import drawing
from lunart.report.contents import MOST_PICTURES
from lunart.report.pictures import overview, planes

_TITLE_ROWS = 40
_GAP = 8
#: A picture in an archive is seen without the report that says so.
_FOOT = "lunart: research software, no medical device"


def key_pictures(nodules: list[Nodule], scan: _core.Scan) -> Iterator[KeyPicture]:
    """The overview first, then one picture a nodule with its planes side by side.

    Of as many as the report shows. Each is drawn when it is asked for.
    """
    shown = nodules[:MOST_PICTURES]
    chest = overview(scan, [nodule.finding for nodule in shown])
    count = len(nodules)
    title = f"{count or 'No'} lung nodule{'' if count == 1 else 's'}, seen from the front"
    yield KeyPicture(title, _titled(chest.rgb, title))
    for nodule in shown:
        yield _of_nodule(nodule, scan)


def _of_nodule(nodule: Nodule, scan: _core.Scan) -> KeyPicture:
    parts = [plane.rgb for plane in planes(scan, nodule.finding)]
    gap = np.zeros((parts[0].shape[0], _GAP, 3), np.uint8)
    row = np.hstack([parts[0], *(piece for part in parts[1:] for piece in (gap, part))])
    title = f"{nodule.name}: {nodule.sentence}"
    index = int(np.clip(round(nodule.finding.center_irc[0]), 0, scan.shape_irc[0] - 1))
    return KeyPicture(title, _titled(row, title), (index,))


def _titled(picture: drawing.Picture, title: str) -> drawing.Picture:
    strip = np.zeros((_TITLE_ROWS, picture.shape[1], 3), np.uint8)
    whole = np.vstack([strip, picture, strip])
    drawing.write(whole, title, (10, _TITLE_ROWS / 2), anchor="lm", size=20)
    foot = whole.shape[0] - _TITLE_ROWS / 2
    drawing.write(whole, _FOOT, (10, foot), anchor="lm", size=18)
    return whole
