"""Findings as a table of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lunart.errors import EngineError
from lunart.result import Finding, Result

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]


def frame_of(result: Result) -> pandas.DataFrame:
    """A row for each listed finding, by falling probability; columns keep their types when empty.

    Raises ``EngineError`` when pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise EngineError("pandas is not installed: pip install 'lunart[pandas]'") from error
    listed = result.nodules if result.candidates is None else result.candidates
    found: Sequence[Finding] = sorted(listed, key=lambda one: -one.probability)
    columns: dict[str, tuple[str, list[object]]] = {
        "series_uid": ("string", [result.scan.series_uid for _ in found]),
        "label": ("int64", [one.label for one in found]),
        "nodule": ("bool", [one.probability > result.threshold for one in found]),
        "probability": ("float64", [one.probability for one in found]),
        "malignancy": ("float64", [one.malignancy for one in found]),
        **{
            f"{axis}_mm": ("float64", [one.center_xyz_mm[k] for one in found])
            for k, axis in enumerate("xyz")
        },
        **{
            axis: ("float64", [one.center_irc[k] for one in found])
            for k, axis in enumerate(("index", "row", "col"))
        },
        "diameter_mm": ("float64", [one.diameter_mm for one in found]),
        "volume_mm3": ("float64", [one.volume_mm3 for one in found]),
        "voxels": ("int64", [one.voxels for one in found]),
    }
    return pandas.DataFrame(
        {name: pandas.Series(values, dtype=kind) for name, (kind, values) in columns.items()}
    )
