"""How well simple statistics tell pasted nodules from those in their own surroundings.

    python -m lunart.training.blend.seam DATA [--volumes N]

A network that sees the seam of pasting learns the seam. So the same cubes are put into the same
lungs at the same spacing, closely cut (``nodule``) and whole (``native``), and a logistic
regression on a dozen statistics of the nodule and its rim tells one from the other, out of fold by
patient. An AUC of 0.5 is a seam that cannot be seen; null pastes are judged in the same way
against plain lung.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart.cli import Parser, run, say
from lunart.evaluation.roc import auc
from lunart.training.blend.volume import Placed, Volume

FEATURES = 12
FOLDS = 5


def statistics(volume: Volume, piece: Placed) -> NDArray[np.float64] | None:
    """A dozen numbers of a nodule and the 8 mm around it, or None at the edge of a volume."""
    step = np.array(volume.spacing_irc_mm)
    reach = np.ceil((piece.diameter_mm / 2 + 8) / step).astype(int)
    middle = np.rint(piece.center_irc).astype(int)
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach + 1, volume.hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    hu = volume.hu[box].astype(np.float64)
    inside = volume.nodule[box]
    if min(hu.shape) < 3 or inside.sum() < 4:
        return None
    away = ndimage.distance_transform_edt(~inside, sampling=step)
    rim, ring = (away > 0) & (away <= 2), (away > 2) & (away <= 8)
    air = ring & (hu < -700)
    if rim.sum() < 8 or air.sum() < 30:
        return None
    plane = ndimage.gaussian_gradient_magnitude(hu, (0, 0.7, 0.7))
    across = np.abs(np.diff(hu, axis=0, append=hu[-1:]))
    along = np.abs(np.diff(hu, axis=2, append=hu[:, :, -1:]))
    close, far = air & (away <= 4), air & (away > 4)
    values = [
        hu[inside].mean(), hu[inside].std(), plane[inside].mean(), plane[rim].mean(),
        hu[rim].mean(), hu[rim].std(), hu[air].mean(), hu[air].std(),
        across[air].mean(), along[air].mean(),
        along[close].mean() - along[far].mean() if close.any() and far.any() else 0.0,
        (hu[ring] > -500).mean(),
    ]  # fmt: skip
    return np.array(values)


def separability(
    values: NDArray[np.float64], truth: NDArray[np.bool_], groups: NDArray[np.int64]
) -> float:
    """Out-of-fold AUC of a ridge logistic regression; a group is never in both parts."""
    scores = np.zeros(len(truth))
    for fold in range(FOLDS):
        held = groups % FOLDS == fold
        mean, spread = values[~held].mean(axis=0), values[~held].std(axis=0) + 1e-9
        x = np.column_stack([(values - mean) / spread, np.ones(len(values))])
        weights = np.zeros(x.shape[1])
        for _ in range(30):  # Newton's method; the ridge keeps it from running away
            p = 1 / (1 + np.exp(-np.clip(x[~held] @ weights, -30, 30)))
            slope = x[~held].T @ (p - truth[~held]) + 1.0 * weights
            bend = (x[~held].T * (p * (1 - p))) @ x[~held] + np.eye(len(weights))
            weights -= np.linalg.solve(bend, slope)
        scores[held] = x[held] @ weights
    return auc(scores, truth)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the AUC and return the exit code."""
    return run("seam", lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    from lunart.training.blend.library import read_library
    from lunart.training.blend.volume import Mix, make

    parser = Parser("seam", "How well simple statistics tell pasted nodules from native ones.")
    parser.add_argument("data", type=Path, help="the folder with nodules/, backgrounds/, luna16/")
    parser.add_argument("--volumes", type=int, default=60, help="volumes to make (default: 60)")
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/blend"), help="for what is converted"
    )
    options = parser.parse_args(argv)
    library = read_library(options.data, options.cache)
    rows: list[NDArray[np.float64]] = []
    pasted: list[bool] = []
    patients: list[str] = []
    for number in range(options.volumes):
        mix = Mix(nodules=6, natives=12, nulls=0, vessels=0, slices=40)
        volume = make((23, number), library.backgrounds, library.cubes, mix)
        for piece in volume.pieces:
            found = statistics(volume, piece)
            if found is not None:
                rows.append(found)
                pasted.append(piece.kind == "nodule")
                patients.append(piece.patient_id)
    names = {name: number for number, name in enumerate(sorted(set(patients)))}
    value = separability(
        np.array(rows), np.array(pasted), np.array([names[name] for name in patients])
    )
    native = len(pasted) - sum(pasted)
    say(f"{sum(pasted)} pasted and {native} native nodules: AUC {value:.3f}")


if __name__ == "__main__":
    sys.exit(main())
