"""What the page knows of a result, as JSON, and the labels that its mask shows."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from lunart.result import Finding, Result
from lunart.view.nifti import LabelRuns

#: As many findings as the page shows: a texture of the graphics card has a column for each label.
MOST_FINDINGS = 4000


class Document:
    """The findings in the page's order: nodules, then candidates, both by falling probability."""

    def __init__(self, result: Result) -> None:
        self._result = result
        labels = {nodule.label for nodule in result.nodules}
        rest = [finding for finding in result.candidates or () if finding.label not in labels]
        rest.sort(key=lambda finding: -finding.probability)
        self._all = len(result.nodules) + len(rest)
        self._findings = [*result.nodules, *rest][:MOST_FINDINGS]
        self._nodules = labels

    def to_json(self) -> bytes:
        """The page's ``view.json``. Text of the result goes in as it is: it is shown as text."""
        result = self._result
        scan = result.scan
        return json.dumps(
            {
                "scan": {
                    "name": PurePath(scan.path).name if scan.path else "from memory",
                    "series_uid": scan.series_uid,
                    "shape_irc": scan.shape_irc,
                    "spacing_mm": scan.spacing_mm,
                    "origin_mm": scan.origin_mm,
                    "direction": scan.direction,
                },
                "bundle": {"name": result.bundle.name, "sha256": result.bundle.sha256},
                "engine": {
                    "name": result.engine.name,
                    "version": result.engine.version,
                    "precision": result.engine.precision,
                },
                "threshold": result.threshold,
                "candidate_count": result.candidate_count,
                "all_candidates": result.candidates is not None,
                "findings": [self._entry(at) for at in range(len(self._findings))],
                "findings_left_out": self._all - len(self._findings),
                "warnings": [{"code": one.code, "text": one.text} for one in result.warnings],
            },
            allow_nan=False,
        ).encode()

    def mask(self) -> LabelRuns:
        """The findings' voxels, labelled as ``mask_value`` says: 1 for the first of the list."""
        return LabelRuns({at + 1: one.runs() for at, one in enumerate(self._findings)})

    def _entry(self, at: int) -> dict[str, Any]:
        finding: Finding = self._findings[at]
        return {
            "kind": "nodule" if finding.label in self._nodules else "candidate",
            "label": finding.label,
            "mask_value": at + 1,
            "probability": finding.probability,
            "malignancy": finding.malignancy,
            "diameter_mm": finding.diameter_mm,
            "volume_mm3": finding.volume_mm3,
            "center_xyz_mm": finding.center_xyz_mm,
            "center_irc": finding.center_irc,
        }
