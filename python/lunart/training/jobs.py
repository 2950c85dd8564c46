"""What ``luna-train seg``, ``cls``, ``mal`` and ``cifar`` train: network, task, samples, record."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lunart.errors import BundleError, UsageError
from lunart.models.architectures import CLASSIFIER, ROLES, default
from lunart.models.checkpoint import load_checkpoint
from lunart.models.images import Images, square
from lunart.training.augment import Augmentation
from lunart.training.losses import CrossEntropy, MixedLoss, RecallWeightedDice
from lunart.training.samples import changed, in_mode, source_of
from lunart.training.scans import CROP_IRC, CUBE_IRC, CUBE_SPACING_MM
from lunart.training.source import Source
from lunart.training.tasks import Classification, Segmentation, Task
from lunart.training.trainee import (
    Trainee,
    crop_architecture,
    crop_classifier,
    finetuned,
    segmenter,
    unchanged,
)

Tell = Callable[[str], None]
_LOSSES = {"mixed": MixedLoss, "dice": RecallWeightedDice}


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that :func:`lunart.training.fit.fit` takes besides settings and folder."""

    trainee: Trainee
    task: Task
    source: Source
    pipeline: Mapping[str, float | str] = field(default_factory=dict)
    images: Images | None = None


def segmentation(options: Namespace, tell: Tell) -> Job:
    """``luna-train seg``."""
    # Blended patches are made anew each epoch, turned and with noise of their own.
    augmentation = None if options.blend else changed(Augmentation(), options)
    task = Segmentation(
        loss_of=_LOSSES[options.loss](), threshold=options.threshold, augmentation=augmentation
    )
    return Job(
        trainee=segmenter(options.seed, wf=options.wf),
        task=task,
        source=source_of("seg", options, tell),
        pipeline={
            "erosion": options.erosion,
            "min_component_mm3": options.min_volume,
        },
    )


def classification(options: Namespace, tell: Tell) -> Job:
    """``luna-train cls``."""
    return Job(
        trainee=_new_classifier(options),
        task=_classification(options),
        source=source_of("cls", options, tell),
        pipeline={
            "nodule_threshold": options.threshold,
            "crop_border": "pad" if options.blend else "shift",
            **_crop_spacing(options),
        },
    )


def malignancy(options: Namespace, tell: Tell) -> Job:
    """``luna-train mal``."""
    if options.finetune is None:
        trainee = _new_classifier(options)
    else:
        for what in ("channels", "mirrors"):
            if getattr(options, what) is not None:
                raise UsageError(f"--{what} belongs to the network that --finetune takes as it is")
        trainee = finetuned(
            load_checkpoint(options.finetune, "classification"),
            options.seed,
            depth=options.depth,
            dropout=_dropout(options),
        )
    return Job(
        trainee=trainee,
        task=_classification(options),
        source=source_of("mal", options, tell),
        pipeline={"malignancy_threshold": options.threshold, **_crop_spacing(options)},
    )


def cifar(options: Namespace, tell: Tell) -> Job:
    """``luna-train cifar``."""
    from lunart.data.cache import Cache, default_folder
    from lunart.data.cifar import CifarSettings, CifarSource
    from lunart.data.pictures import SIDE

    name = f"cifar-{options.network}"
    if name not in ROLES[CLASSIFIER]:
        known = ", ".join(one.removeprefix("cifar-") for one in ROLES[CLASSIFIER])
        raise UsageError(f"--network {options.network!r} is none of {known}")
    plain = options.mode == "overfit" or not options.augment
    values: dict[str, Any] = {"flip": False, "shift": 0} if plain else {}
    if options.classes is not None:
        values["classes"] = tuple(options.classes.split(","))
    settings = CifarSettings(**values)
    if "n_classes" in dict(options.set):
        raise UsageError("--set n_classes: give --classes, which are counted")
    try:
        architecture = default(name, n_classes=len(settings.classes), **dict(options.set))
    except BundleError as error:
        raise UsageError(f"--set: {error}") from error
    source = CifarSource(
        options.root,
        seed=options.seed,
        settings=settings,
        store=Cache(options.cache or default_folder()),
    )
    return Job(
        trainee=unchanged(architecture, options.seed),
        task=Classification(
            loss_of=CrossEntropy(label_smoothing=_smoothing(options)), input="image"
        ),
        source=in_mode(source, options, options.samples),
        images=Images(
            classes=source.classes,
            preprocess=square(SIDE, mean=source.mean, deviation=source.deviation),
        ),
    )


def _new_classifier(options: Namespace) -> Trainee:
    architecture = crop_architecture(
        options.network,
        CUBE_IRC if options.blend else CROP_IRC,
        channels=options.channels,
        mirrors=options.mirrors,
    )
    return crop_classifier(architecture, options.seed, dropout=_dropout(options))


def _crop_spacing(options: Namespace) -> dict[str, float]:
    return {"crop_spacing_mm": CUBE_SPACING_MM} if options.blend else {}


def _classification(options: Namespace) -> Classification:
    return Classification(loss_of=CrossEntropy(label_smoothing=_smoothing(options)))


def _dropout(options: Namespace) -> float:
    return 0.0 if options.mode == "overfit" else options.dropout


def _smoothing(options: Namespace) -> float:
    # Smoothed labels cannot be learnt by heart.
    return 0.0 if options.mode == "overfit" else options.label_smoothing
