"""Classifying images from Python: a thin layer over the C++ core that ``luna_infer`` runs too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeGuard, cast, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.callables import callable_networks
from lunart.classification import Classification
from lunart.errors import ScanError, UsageError
from lunart.registry import runs_in_python
from lunart.runner import Path_, Precision

# Pictures that are decoded and in memory at once: so many, or so many bytes of pixels.
_MOST_IMAGES = 256
_MOST_BYTES = 1 << 28


@runtime_checkable
class PilImage(Protocol):
    """What a ``PIL.Image.Image`` offers; named here so that Pillow stays optional."""

    mode: str

    def convert(self, mode: str) -> Any: ...


Picture = Path_ | NDArray[np.uint8] | PilImage


class Classifier:
    """Says what pictures show, with the network of one bundle, which stays loaded.

    ``engine``: ``auto``, one that :func:`lunart.engines` lists, or Python's own ``eager`` (PyTorch
    rebuilt from the weights). All decode and preprocess in C++. ``precision``: ``f32``, or
    ``bf16``, which is faster and coarser, where engine and processor have it. ``threads`` None:
    every processor this process may use.

    Raises the classes of :mod:`lunart.errors`; ``UsageError`` when the bundle is for
    ``lunart.Runner``.
    """

    def __init__(
        self,
        bundle: Path_,
        engine: str = "auto",
        *,
        precision: Precision = "f32",
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; expected 1 or more, or None for all")
        engine = _core.wanted_engine(engine)
        networks, version = None, ""
        if runs_in_python(engine):
            networks, version = callable_networks(bundle, engine, threads, precision)
        self._core = _core.Classifier(
            bundle=os.fspath(bundle),
            engine=engine,
            threads=threads or 0,
            networks=networks,
            version=version,
            precision=precision,
        )

    @overload
    def __call__(self, images: Path_ | PilImage) -> Classification: ...
    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[Classification]: ...
    @overload
    def __call__(self, images: NDArray[np.uint8]) -> Classification | list[Classification]: ...

    def __call__(
        self, images: Picture | Sequence[Picture]
    ) -> Classification | list[Classification]:
        """Classify a file (PNG, JPEG), an array (rows, cols, 3) of 8-bit RGB, or a PIL image.

        A sequence of them, or an array (n, rows, cols, 3), gives a list, in batches. A file is
        decoded as Pillow's ``convert("RGB")``; a PIL image is converted so, by Pillow.
        Raises ``ScanError`` naming the picture that cannot be read, or that the network does not
        take.
        """
        if _is_one(images):
            return self._batch([_decoded(images)])[0]
        found: list[Classification] = []
        for batch in _batches(cast("Iterable[Picture]", images)):
            found += self._batch(batch)
        return found

    def _batch(self, images: list[_core.Image]) -> list[Classification]:
        return [Classification(core) for core in self._core.classify(images)]


def _batches(pictures: Iterable[Picture]) -> Iterator[list[_core.Image]]:
    images: list[_core.Image] = []
    held = 0
    for picture in pictures:
        images.append(_decoded(picture))
        held += 3 * images[-1].rows * images[-1].cols
        if len(images) == _MOST_IMAGES or held >= _MOST_BYTES:
            yield images
            images, held = [], 0
    if images:
        yield images


def _decoded(picture: Picture) -> _core.Image:
    if isinstance(picture, str | os.PathLike):
        return _core.read_image(os.fspath(picture))
    if isinstance(picture, np.ndarray):
        return _image_of_array(picture)
    if isinstance(picture, PilImage):
        return _core.Image(np.asarray(picture.convert("RGB")))
    raise UsageError(
        f"a picture is a {type(picture).__name__}; expected a path, a PIL image or an array of "
        "8-bit RGB"
    )


def _is_one(images: Picture | Sequence[Picture]) -> TypeGuard[Picture]:
    if isinstance(images, np.ndarray):
        return images.ndim != 4
    return isinstance(images, str | os.PathLike | PilImage) or not isinstance(images, Iterable)


def _image_of_array(array: NDArray[np.uint8]) -> _core.Image:
    if array.dtype != np.uint8:
        raise ScanError(
            f"the array is of type {array.dtype}; expected uint8, red, green and blue of 0 to 255"
        )
    if array.ndim != 3 or array.shape[2] != 3:
        raise ScanError(
            f"the array's shape is {array.shape}; expected (rows, cols, 3), or a batch of them"
        )
    return _core.Image(array)
