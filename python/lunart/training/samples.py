"""Where a run's samples come from: a LUNA16 folder, generated scans, or blended ones."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lunart import _core
from lunart.data.cache import Cache, default_folder
from lunart.data.crops import CropSettings
from lunart.data.luna16 import Luna16
from lunart.data.segmentation import SegmentationSettings
from lunart.data.sets import MalignancySettings
from lunart.data.sources import classification_source, malignancy_source, segmentation_source
from lunart.data.split import PARTS, Split
from lunart.errors import OutputError, UsageError
from lunart.training import phantoms
from lunart.training.augment import UNCHANGED, Augmentation
from lunart.training.modes import OneBatch, Sized
from lunart.training.processes import is_first
from lunart.training.source import Source

Tell = Callable[[str], None]

# An epoch on generated scans, unless told otherwise: enough that one is worth something.
_PHANTOM_SAMPLES = 12_000
_SPLIT_SEED = 1


def source_of(kind: str, options: Namespace, tell: Tell) -> Source:
    """The source that the options name. Raises ``UsageError`` when they name none or several."""
    given = [
        name
        for name, value in (
            ("DIR", options.root), ("--phantoms", options.phantoms), ("--blend", options.blend)
        )
        if value is not None
    ]  # fmt: skip
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise UsageError(f"one of DIR, --phantoms and --blend says what to train on, found {found}")
    samples = options.samples
    if options.blend is not None:
        source = _blended(kind, options)
    elif options.phantoms is not None:
        source = _generated(kind, options, tell)
        samples = samples or _PHANTOM_SAMPLES
    else:
        split = split_of(options.root, options.split, tell)
        cache = Cache(options.cache or default_folder())
        source = _luna16(kind, options.root, split, cache, options)
    return in_mode(source, options, samples)


def changed(base: Augmentation, options: Namespace) -> Augmentation | None:
    """The augmentation with what the options say of it; None: samples stay as they are."""
    if options.mode == "overfit" or not options.augment:
        return None
    names = ("flip", "shift", "scale", "turn_degrees", "noise_hu")
    given = {name: getattr(options, name) for name in names}
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def in_mode(source: Source, options: Namespace, samples: int | None) -> Source:
    """The source as ``--mode`` and ``--samples`` want it."""
    if options.mode == "overfit":
        return OneBatch(source, options.batch)
    return source if samples is None else Sized(source, samples)


def split_of(root: Path, given: Path | None, tell: Tell) -> Split:
    """The split that was given, else the folder's own, which is made when there is none yet."""
    path = given or root / "split.json"
    if given is not None or path.exists():
        return Split.read(path)
    luna = Luna16.open(root)
    split = Split.make(luna.series, seed=_SPLIT_SEED, patients=luna.patients)
    try:
        split.write(path)
    except OutputError as error:
        raise OutputError(
            f"{error}; give --split FILE (luna-data split {root} -o FILE makes one)"
        ) from error
    counts = ", ".join(f"{len(split.part(part))} {part}" for part in PARTS)
    tell(f"{path}: made, by {split.made['by']}: {counts}; every training on the folder takes it")
    return split


def _luna16(
    kind: str,
    root: Path,
    split: Split,
    cache: Cache,
    options: Namespace,
) -> Source:
    balance = None if options.mode == "unbalanced" else 1
    if kind == "seg":
        return segmentation_source(
            root,
            split,
            seed=options.seed,
            settings=SegmentationSettings(negatives_per_positive=balance, masks=options.masks),
            store=cache,
        )
    crops = CropSettings(negatives_per_positive=balance)
    if crops.augmentation is not None:
        crops = replace(crops, augmentation=changed(crops.augmentation, options))
    if kind == "cls":
        return classification_source(root, split, seed=options.seed, settings=crops, store=cache)
    return malignancy_source(
        root, split, seed=options.seed, settings=MalignancySettings(crops=crops), store=cache
    )


def _generated(kind: str, options: Namespace, tell: Tell) -> Source:
    if kind == "mal":
        raise UsageError("--phantoms: generated nodules are neither malignant nor benign")
    folder = options.output / f"phantoms-{options.phantoms}-{options.seed}"
    workers = _core.thread_count(0)
    if is_first():
        phantoms.make_folder(
            folder, count=options.phantoms, seed=options.seed, workers=workers, tell=tell
        )
    split = split_of(folder, None, tell)
    cache = folder / "cache"
    if is_first():
        phantoms.fill_cache(folder, split, cache, kind=kind, workers=workers, tell=tell)
    return _luna16(kind, folder, split, Cache(cache), options)


def _blended(kind: str, options: Namespace) -> Source:
    # PyTorch and a network come with these.
    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend import folds, sources
    from lunart.training.blend.crops import CropBlend, CropSource, rated_source
    from lunart.training.blend.pool import PoolSettings

    seed = options.seed
    if options.mode == "unbalanced":
        raise UsageError("--blend: positives and negatives are put in as often as is wanted")
    folder = options.cache or default_folder()
    converted, store = folder / "blend", Cache(folder)
    if kind == "seg":
        patches = sources.SegmentationBlend(seed=seed)
        if options.samples is not None:
            patches = replace(patches, patches=options.samples)
        return sources.segmentation_source(options.blend, converted, patches)
    crops = CropBlend(seed=seed)
    crops = replace(crops, augmentation=changed(crops.augmentation, options) or UNCHANGED)
    if options.samples is not None:
        crops = replace(crops, crops=options.samples)
    if kind == "mal":
        return rated_source(sources.rated_pool(options.blend, converted, store, seed), crops)
    if options.segmentation is None:
        raise UsageError("--blend: --segmentation FILE says what the negatives are mined with")
    checkpoint = load_checkpoint(options.segmentation, "segmentation")
    held_out = None if options.folds is None else folds.read(options.folds)
    pool = sources.nodule_pool(
        options.blend, converted, store, checkpoint, PoolSettings(seed=seed), held_out
    )
    return CropSource(pool, crops)
