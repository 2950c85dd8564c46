"""How good a crop classifier is on patients and lungs that it has never seen.

    python -m lunart.training.blend.study segmentation DATA --segmentation FILE --output DIR
    python -m lunart.training.blend.study nodules DATA --segmentation FILE --output DIR
    python -m lunart.training.blend.study malignancy DATA --output DIR

Each of four parts of patients and backgrounds is held out in turn; the fifth decides which epoch is
kept. ``nodules`` learns from, and is judged by, what FILE proposes; with ``--folds DIR`` it is what
the networks that ``segmentation`` trained (:mod:`.folds`) propose, none of which saw the part.
``malignancy`` fine-tunes the networks that ``nodules`` left in the same DIR. With ``--part`` one
part is held out, and nothing judged: several may run side by side, and without ``--part`` what is
finished is not trained again.

What was held out is pooled. Nodules that are not below the pipeline's least component count once
each, found by the segmentation network or not; against them stands what the pipeline proposes in
the lungs and no reader marked. Intervals draw whole patients (their nodules and what is proposed
around them) and whole lungs with replacement.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import UsageError
from lunart.models.architectures import CROP_CLASSIFIERS
from lunart.training.blend.parts import STUDY
from lunart.training.scans import CUBE_IRC
from lunart.training.settings import PRECISIONS

if TYPE_CHECKING:
    from torch import nn

    from lunart.training.blend.crops import CropSource
    from lunart.training.blend.pool import Entry, Pool
    from lunart.training.trainee import Trainee

_PROG = "python -m lunart.training.blend.study"
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Held:
    """Entries of the parts held out, and what networks that never saw them say."""

    entries: list[Entry]
    scores: NDArray[np.float64]

    def only(self, keep: Callable[[Entry], bool]) -> Held:
        """Those that pass."""
        chosen = np.array([keep(entry) for entry in self.entries], bool)
        kept = [entry for entry, one in zip(self.entries, chosen, strict=True) if one]
        return Held(kept, self.scores[chosen])

    def joined(self, other: Held) -> Held:
        """These and those."""
        return Held([*self.entries, *other.entries], np.concatenate([self.scores, other.scores]))

    @property
    def nodule(self) -> NDArray[np.bool_]:
        """The truth."""
        return np.array([entry.finding.nodule for entry in self.entries], bool)

    @property
    def groups(self) -> list[str]:
        """What is drawn together: a patient's nodules and surroundings, a lung's proposals."""
        return [entry.whose for entry in self.entries]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Out-of-fold figures of the nodule and malignancy classifiers.")
    parser.add_argument("what", choices=("segmentation", "nodules", "malignancy"))
    parser.add_argument("data", type=Path, help="the folder with nodules/, backgrounds/, luna16/")
    parser.add_argument("--segmentation", type=Path, help="weights whose settings are taken")
    parser.add_argument("--folds", type=Path, help="segmentation networks that propose instead")
    parser.add_argument("-o", "--output", type=Path, required=True, help="runs, and the report")
    parser.add_argument("--part", type=int, choices=STUDY, help="train without this part only")
    parser.add_argument("--epochs", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--samples", type=int, default=4000, help="an epoch (default: %(default)s)")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="above it one is called (default: %(default)s)"
    )
    parser.add_argument(
        "--network", choices=CROP_CLASSIFIERS, default=CROP_CLASSIFIERS[0], help="of nodules"
    )
    parser.add_argument("--channels", type=int, help="of its first layer (default: the network's)")
    parser.add_argument("--mirrors", type=int, help="axes of mirror images that it looks at, to 3")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16", help="of the networks")
    parser.add_argument("--depth", type=int, choices=(1, 2), default=2, help="new layers")
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/blend"), help="for volumes and crops"
    )
    options = parser.parse_args(argv)
    if options.what != "malignancy" and options.segmentation is None:
        raise UsageError(f"{options.what}: give --segmentation, weights whose settings are taken")
    report = _STUDIES[options.what](options)
    if not report:
        return
    path = options.output / f"{options.what}.json"
    _core.write_file_atomically(path, json.dumps(report, indent=1) + "\n")
    for key, value in report.items():
        say(f"{key}: {value}")


def _segmentation(options: Namespace) -> dict[str, Any]:
    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend import folds

    folds.train(
        options.data,
        options.cache,
        load_checkpoint(options.segmentation, "segmentation"),
        options.output / "segmentation",
        parts=STUDY if options.part is None else (options.part,),
        epochs=options.epochs,
        patches=options.samples,
        precision=options.precision,
    )
    return {}


def _nodules(options: Namespace) -> dict[str, Any]:
    from lunart.data.cache import Cache
    from lunart.evaluation.roc import auc_estimate
    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend import folds
    from lunart.training.blend.crops import CropSource
    from lunart.training.blend.findings import MINED, PROPOSED, grouping_of, sphere_mm
    from lunart.training.blend.library import READ
    from lunart.training.blend.pool import PoolSettings
    from lunart.training.blend.sources import nodule_pool
    from lunart.training.trainee import crop_architecture, crop_classifier

    architecture = crop_architecture(
        options.network, CUBE_IRC, channels=options.channels, mirrors=options.mirrors
    )
    checkpoint = load_checkpoint(options.segmentation, "segmentation")
    pool = nodule_pool(
        options.data,
        options.cache,
        Cache(options.cache),
        checkpoint,
        PoolSettings(),
        None if options.folds is None else folds.read(options.folds),
    )

    def trainee(_part: int) -> Trainee:
        return crop_classifier(architecture, 1, dropout=0.1)

    held = _held_out(options, pool, CropSource, trainee, batch=24)
    if options.part is not None:
        return {}
    least_mm = sphere_mm(grouping_of(checkpoint).least_mm3)
    truth = held.only(lambda e: e.finding.nodule and e.finding.kind == "truth")
    large = truth.only(lambda e: e.finding.diameter_mm >= least_mm)
    proposed, mined = (_on_none(held, kind) for kind in (PROPOSED, MINED))
    own = large.only(lambda e: e.finding.native)
    read = proposed.only(lambda e: e.background.startswith(READ))
    report: dict[str, Any] = {
        "nodules": len(large.entries),
        "proposals": len(proposed.entries),
        "proposals where readers have looked": len(read.entries),
        "least diameter in mm": round(least_mm, 2),
    }
    for name, nodules, others in (
        ("auc", large, proposed),
        ("auc, nodules in their own surroundings", own, proposed),
        ("auc, against what a lower threshold proposes", large, mined),
        ("auc, with smaller nodules", truth, proposed),
        ("auc, where readers have looked", large, read),
    ):
        if not others.entries:
            continue
        some = nodules.joined(others)
        report[name] = str(auc_estimate(some.scores, some.nodule, some.groups))
    for kind in ("null", "vessel", PROPOSED):
        report[f"{kind} called nodules"] = _called(_on_none(held, kind), options.threshold)
    report["nodules called nodules"] = _called(large, options.threshold)
    return report


def _on_none(held: Held, kind: str) -> Held:
    return held.only(lambda e: e.finding.kind == kind and not e.finding.nodule)


def _called(held: Held, threshold: float) -> str:
    return f"{(held.scores > threshold).mean():.3f} of {len(held.scores)}"


def _malignancy(options: Namespace) -> dict[str, Any]:
    from lunart.data.cache import Cache
    from lunart.evaluation.roc import auc_difference, auc_estimate
    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend.crops import rated_source
    from lunart.training.blend.sources import rated_pool
    from lunart.training.record import WEIGHTS
    from lunart.training.trainee import finetuned

    def trainee(part: int) -> Trainee:
        nodules = options.output / "nodules" / f"without-{part}" / WEIGHTS
        checkpoint = load_checkpoint(nodules, "classification")
        return finetuned(checkpoint, 1, depth=options.depth)

    pool = rated_pool(options.data, options.cache, Cache(options.cache))
    held = _held_out(options, pool, rated_source, trainee, batch=32)
    if options.part is not None:
        return {}
    # A patient's crops are one nodule seen many times: judged once, by the mean.
    patients = sorted({e.finding.patient_id for e in held.entries})
    rows = [
        np.array([e.finding.patient_id == patient for e in held.entries]) for patient in patients
    ]
    diameters = np.array([e.finding.diameter_mm for e in held.entries])
    scores = np.array([held.scores[row].mean() for row in rows])
    sizes = np.array([diameters[row].mean() for row in rows])
    truth = np.array([held.nodule[row][0] for row in rows])
    return {
        "malignant": int(truth.sum()),
        "benign": int((~truth).sum()),
        "auc": str(auc_estimate(scores, truth)),
        "auc of the diameter": str(auc_estimate(sizes, truth)),
        "difference": str(auc_difference(scores, sizes, truth)),
    }


def _held_out(
    options: Namespace,
    pool: Pool,
    source: type[CropSource] | Callable[[Pool, Any], CropSource],
    trainee: Callable[[int], Trainee],
    *,
    batch: int,
) -> Held:
    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend.crops import CropBlend
    from lunart.training.fit import fit
    from lunart.training.losses import CrossEntropy
    from lunart.training.optimiser import Optimiser
    from lunart.training.settings import Settings
    from lunart.training.tasks import Classification

    settings = Settings(
        epochs=options.epochs,
        batch=batch,
        precision=options.precision,
        optimiser=Optimiser(rate=3e-3, weight_decay=1e-2, warmup_steps=100),
    )
    entries: list[Entry] = []
    scores: list[NDArray[np.float64]] = []
    for part in STUDY if options.part is None else (options.part,):
        others = tuple(other for other in STUDY if other != part)
        say(f"part {part} held out")
        outcome = fit(
            trainee(part),
            Classification(loss_of=CrossEntropy(label_smoothing=0.02)),
            source(pool, replace(CropBlend(), parts=others, crops=options.samples)),
            settings,
            options.output / options.what / f"without-{part}",
        )
        network = load_checkpoint(outcome.weights, "classification").module()
        mine = [entry for entry in pool.entries if entry.part == part]
        entries += mine
        scores.append(predicted(network, mine))
    return Held(entries, np.concatenate(scores))


def predicted(network: nn.Module, entries: Sequence[Entry]) -> NDArray[np.float64]:
    """The positive class's probability for each entry, cut as the pipeline would."""
    import torch

    from lunart.training.blend.crops import Plain

    samples = Plain(entries)
    network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    found = [np.zeros(0)]
    for start in range(0, len(samples), _BATCH):
        some = range(start, min(start + _BATCH, len(samples)))
        hu = torch.from_numpy(np.stack([samples[k]["hu"] for k in some]))
        hu = hu.contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode():
            found.append(network(hu)[1][:, 1].double().numpy())
    return np.concatenate(found)


_STUDIES: dict[str, Callable[[Namespace], dict[str, Any]]] = {
    "segmentation": _segmentation,
    "nodules": _nodules,
    "malignancy": _malignancy,
}

if __name__ == "__main__":
    sys.exit(main())
