"""What export and verification do differently for each task of a bundle. All else is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lunart.bundle import IMAGES, NODULES, Bundle, FileEntry, Model
from lunart.export import (
    golden_picture,
    golden_scan,
    image_settings,
    limits,
    nodule_precision,
    nodule_settings,
    picture_precision,
    picture_probes,
    probes,
)
from lunart.export.compare import Check, Decision, above, most_probable
from lunart.export.probes import Probe
from lunart.models.checkpoint import Checkpoint
from lunart.verify.pictures import verify_golden_picture

# The pipeline's setting at which each model's probability decides.
_THRESHOLDS = {
    "segmentation": "segmentation_threshold",
    "classification": "nodule_threshold",
    "malignancy": "malignancy_threshold",
}


@dataclass(frozen=True)
class Task:
    """The parts of a bundle that depend on what it is for."""

    #: Its own fields of the manifest, from the weights by role; raises ``BundleError``.
    settings: Callable[[Mapping[str, Checkpoint]], dict[str, Any]]
    #: As the manifest has them.
    limits: Callable[[], dict[str, Any]]
    #: On which artifacts are compared, and those that travel with the bundle.
    probes: Callable[[Bundle, Model], list[Probe]]
    golden_probes: Callable[[Bundle, Model], list[Probe]]
    #: What is made of a model's probability.
    decision: Callable[[Bundle, Model], Decision]
    #: Writes the golden scan or picture and its result: entries by the manifest's key.
    write_golden: Callable[[Bundle], dict[str, FileEntry]]
    #: Compares it with its result in every engine, where that is quick.
    verify_golden: Callable[[Bundle, int], Iterator[Check]]
    #: What other precisions change, and that for people.
    lower_precisions: Callable[[Bundle], dict[str, dict[str, Any]]]
    line_of: Callable[[str, dict[str, Any]], str]


def task_of(bundle: Bundle) -> Task:
    """The core opens no bundle of a task that is not here."""
    return TASKS[bundle.task]


def _hu_probes(bundle: Bundle, model: Model) -> list[Probe]:
    return probes.probes(model.signature, _window_of(bundle))


def _golden_hu_probes(bundle: Bundle, model: Model) -> list[Probe]:
    return probes.golden_probes(model.signature, _window_of(bundle))


def _window_of(bundle: Bundle) -> tuple[float, float]:
    low, high = bundle.pipeline["hu_window"]
    return float(low), float(high)


def _above_threshold(bundle: Bundle, model: Model) -> Decision:
    return above(float(bundle.pipeline[_THRESHOLDS[model.name]]))


def _most_probable(bundle: Bundle, model: Model) -> Decision:
    del bundle, model
    return most_probable


def _left_to_the_self_check(bundle: Bundle, threads: int) -> Iterator[Check]:
    """A scan takes seconds an engine; ``luna_infer --selfcheck`` and ``luna-verify SCAN`` do it."""
    del bundle, threads
    return iter(())


TASKS = {
    NODULES: Task(
        settings=nodule_settings.settings_of,
        limits=limits.of_nodules,
        probes=_hu_probes,
        golden_probes=_golden_hu_probes,
        decision=_above_threshold,
        write_golden=golden_scan.write_phantom,
        verify_golden=_left_to_the_self_check,
        lower_precisions=nodule_precision.lower_precisions,
        line_of=nodule_precision.line_of,
    ),
    IMAGES: Task(
        settings=image_settings.settings_of,
        limits=limits.of_images,
        probes=picture_probes.probes,
        golden_probes=picture_probes.golden_probes,
        decision=_most_probable,
        write_golden=golden_picture.write_picture,
        verify_golden=verify_golden_picture,
        lower_precisions=picture_precision.lower_precisions,
        line_of=picture_precision.line_of,
    ),
}
