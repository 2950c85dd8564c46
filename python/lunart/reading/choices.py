"""What can be chosen when a DICOM series is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OnGap = Literal["refuse", "fill"]
OnTilt = Literal["refuse", "resample"]
OnDuplicate = Literal["refuse", "first"]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Which series, and what to do when it is no even stack of slices.

    Every default refuses and names the slices. ``on_gap="fill"``: missing slices are interpolated
    linearly, uneven spacing is resampled linearly. ``on_tilt="resample"``: slices of a tilted
    gantry are shifted to their place by linear interpolation. ``on_duplicate="first"``: of
    different slices at one place the one with the lowest instance number is taken. What was done
    is in the scan's ``warnings``.
    """

    series_uid: str | None = None
    on_gap: OnGap = "refuse"
    on_tilt: OnTilt = "refuse"
    on_duplicate: OnDuplicate = "refuse"
