"""A nodule as the objects name it: number, tracking identifier, side, a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lunart import _core
from lunart.dicom_out.uids import Uids
from lunart.report.places import Lungs
from lunart.report.sampling import coarse
from lunart.result import Finding, Result


@dataclass(frozen=True)
class Nodule:
    """``number`` counts from 1 in the result's order; it is the segment's number too.

    ``slices`` are the indices of the scan's slices that its voxels are in.
    """

    number: int
    finding: Finding
    tracking_uid: str
    side: Literal["left", "right"] | None
    slices: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"Nodule {self.number}"

    @property
    def sentence(self) -> str:
        """Its numbers for people, without anything of the patient."""
        found = self.finding
        parts = [f"nodule probability {found.probability:.3f}"]
        if found.malignancy is not None:
            parts.append(f"malignancy probability {found.malignancy:.3f}")
        parts.append(f"diameter {found.diameter_mm:.1f} mm")
        parts.append(f"volume {found.volume_mm3:.0f} mm3")
        return ", ".join(parts)


def nodules(result: Result, scan: _core.Scan, series_uid: str, uids: Uids) -> list[Nodule]:
    """The result's nodules, numbered. A tracking UID is the same whenever the result is written."""
    _, rows, cols = scan.shape_irc
    lungs = Lungs.find(*coarse(scan)) if result.nodules else None
    return [
        Nodule(
            number,
            finding,
            uids.of_name(
                "finding", series_uid, result.bundle.sha256, *map(repr, finding.center_xyz_mm)
            ),
            _side(lungs, finding),
            tuple(np.unique(finding.runs()[:, 0] // (rows * cols)).tolist()),
        )
        for number, finding in enumerate(result.nodules, 1)
    ]


def _side(lungs: Lungs | None, finding: Finding) -> Literal["left", "right"] | None:
    """As the report's words say it; None near the middle and where no pair of lungs is seen."""
    side = lungs.place(finding.center_xyz_mm).side if lungs is not None else None
    return side if side == "left" or side == "right" else None
