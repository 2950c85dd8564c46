"""How far from eager PyTorch an engine may be, in each precision.

They are written into every bundle (``verification.limits``), where the native self-check reads
them. f32: eager PyTorch itself is off by 5e-4 against float64, so engines are judged by 1e-3 and by
the nodules. bf16 has eight bits of mantissa: single voxels at the mask's rim flip, so its outputs
are judged by their mean-square error and it is the nodules that count.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Of one precision: a network's outputs, then what the pipeline finds with it."""

    max_abs: float  # of an output, in units of the larger of 1 and its largest value
    nmse: float
    probability: (
        float  # of a finding or a class; a nodule this near the threshold may fall either way
    )
    centre_voxels: float  # on each axis
    diameter_share: float
    least_dice: float  # of the mask
    least_voxels: int  # smaller nodules may come and go
    unmatched_share: float  # of all candidates but the smallest


F32 = Limits(
    max_abs=1e-3,
    nmse=1e-7,
    probability=1e-3,
    centre_voxels=0.5,
    diameter_share=0.05,
    least_dice=0.999,
    least_voxels=1,
    unmatched_share=0.005,
)
BF16 = Limits(
    max_abs=1.0,
    nmse=1e-2,
    probability=0.05,
    centre_voxels=1.0,
    diameter_share=0.25,
    least_dice=0.98,
    least_voxels=3,
    unmatched_share=0.1,
)
OF_PRECISION = {"f32": F32, "bf16": BF16}

#: The mean square that references are taken to have at least, in the denominator of nmse.
LEAST_POWER = 0.01
# Of outputs and of a class, not of a scan's findings.
_OF_OUTPUTS = ("max_abs", "nmse", "probability")
#: Smaller candidates come and go with single voxels.
CANDIDATE_VOXELS = 3


def of_nodules() -> dict[str, Any]:
    """As in the manifest."""
    of_precision = {name: asdict(limits) for name, limits in OF_PRECISION.items()}
    return {"least_power": LEAST_POWER, "candidate_voxels": CANDIDATE_VOXELS, **of_precision}


def of_images() -> dict[str, Any]:
    """As in the manifest: what is there without a scan."""
    of_precision = {
        name: {key: getattr(limits, key) for key in _OF_OUTPUTS}
        for name, limits in OF_PRECISION.items()
    }
    return {"least_power": LEAST_POWER, **of_precision}
