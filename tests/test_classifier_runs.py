"""``lunart.Classifier``: what it refuses, what it accepts, and that every engine says the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import handmade_images
import jsonschema
import numpy as np
import pngs
import pytest
import spoil
from handmade import write_handmade
from handmade_images import CLASSES, PLAIN, SIDE, picture
from lunart import Classification, Classifier, Runner, _core
from lunart.errors import BundleError, EngineError, ScanError, UsageError
from numpy.typing import NDArray
from PIL import Image

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "classification.schema.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
TRACE = "torchscript-trace"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade_images.write_bundle(tmp_path_factory.mktemp("classifier") / "images")


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return Classifier(bundle, engine=TRACE, threads=1)


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return spoil.copy_of(bundle, tmp_path / "images")


def _expected(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """By class, computed in NumPy."""
    mean, deviation = (np.array(PLAIN[k])[:, None, None] for k in ("mean", "deviation"))
    image = (np.moveaxis(pixels, 2, 0) / 255 - mean) / deviation
    probability = handmade_images.outputs_of(image[None].astype(np.float32))[1][0]
    return dict(zip(CLASSES, map(float, probability), strict=True))


def _check(found: Classification, pixels: NDArray[np.uint8]) -> None:
    CHECKED.validate(found.to_dict())
    assert found.decoded_sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert (found.image.rows, found.image.cols) == pixels.shape[:2]
    expected = _expected(pixels)
    got = {entry.name: entry.probability for entry in found.classes}
    assert got == pytest.approx(expected, abs=1e-5)
    assert [e.probability for e in found.classes] == sorted(got.values(), reverse=True)
    assert found.best.name == max(expected, key=lambda name: expected[name])


# --- refused -------------------------------------------------------------------------------------


def test_a_bundle_of_nodules_says_what_opens_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lunart\.Runner"):
        Classifier(write_handmade(tmp_path / "nodules"))


@pytest.mark.parametrize("engine", ["auto", TRACE])
def test_the_runner_names_the_classifier(engine: str, bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"lunart\.Classifier") as caught:
        Runner(bundle, engine=engine)
    assert "luna_infer" in str(caught.value)
    assert str(bundle) in str(caught.value)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((SIDE, SIDE, 3), np.float32), "float32"),
        (np.zeros((SIDE, SIDE), np.uint8), r"\(8, 8\)"),
        (np.zeros((SIDE, SIDE, 4), np.uint8), r"\(8, 8, 4\)"),
        (np.zeros((3, SIDE, SIDE), np.uint8), r"\(3, 8, 8\)"),
        (np.zeros((0, SIDE, 3), np.uint8), "0x8"),
        (np.zeros((SIDE, SIDE + 1, 3), np.uint8), "8x9 pixels.*takes 8 rows and 8 columns"),
        (np.zeros((2, SIDE, SIDE, 4), np.uint8), r"\(8, 8, 4\)"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(
    array: NDArray[Any], words: str, classifier: Classifier
) -> None:
    with pytest.raises(ScanError, match=words):
        classifier(array)


@pytest.mark.parametrize("thing", [7, None, [7], [None]])
def test_what_is_no_picture_at_all_is_refused(thing: Any, classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="expected a path"):
        classifier(thing)


def test_a_picture_among_others_is_named(tmp_path: Path, classifier: Classifier) -> None:
    good = pngs.write(tmp_path, pngs.random_png(SIDE, SIDE, pngs.RGB, 8))
    with pytest.raises(ScanError, match=r"none\.png"):
        classifier([good, tmp_path / "none.png"])
    other = pngs.write(tmp_path, pngs.random_png(SIDE, 3, pngs.RGB, 8), "other.png")
    with pytest.raises(ScanError, match=r"other\.png.*8x3"):
        classifier([good, other])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"engine": "none"}, UsageError, "none"),
        ({"threads": 0}, UsageError, "threads"),
        ({"precision": "f16"}, UsageError, "f16"),
        ({"precision": "bf16", "engine": TRACE}, EngineError, "bf16"),
        ({"engine": "aotinductor"}, EngineError, "no artifact aotinductor"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], error: type[Exception], words: str, bundle: Path
) -> None:
    with pytest.raises(error, match=words):
        Classifier(bundle, **options)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (lambda x: [np.zeros((len(x), 3), np.float32)], "another shape"),
        (lambda x: [np.zeros((len(x), 2), np.float32)] * 2, "another shape"),
        (lambda x: [np.full((len(x), 3), np.nan, np.float32)] * 2, "not a number"),
    ],
)
def test_a_network_that_answers_nonsense_is_refused(outputs: Any, words: str, bundle: Path) -> None:
    core = handmade_images.handmade(bundle, outputs)
    with pytest.raises(EngineError, match=words):
        core.classify([_core.Image(picture(SIDE, SIDE))])


def test_a_picture_that_would_become_huge_is_refused(copy: Path) -> None:
    spoil.change(
        copy,
        lambda m: m["preprocess"].update(
            resize={"size": 4096, "filter": "bilinear", "antialias": True}
        ),
    )
    with pytest.raises(ScanError, match="too narrow"):
        Classifier(copy, engine=TRACE)(np.zeros((2, 4000, 3), np.uint8))


# --- manifests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("classes",), []),
        (("classes",), ["bird", "bird", "cat"]),
        (("classes",), ["bird", "cat"]),
        (("classes",), "bird"),
        (("preprocess",), None),
        (("preprocess", "scale"), 0),
        (("preprocess", "mean"), [0, 0]),
        (("preprocess", "deviation"), [1, 0, 1]),
        (("preprocess", "deviation"), None),
        (("preprocess", "center_crop"), [8]),
        (("preprocess", "center_crop"), [8, 9]),
        (("preprocess", "resize"), {"size": [16, 16], "filter": "nearest", "antialias": True}),
        (("classes",), ["bird", "x" * 257, "cat"]),
        (("preprocess", "center_crop"), [8, 10**9]),
        (("preprocess", "resize"), 8),
        (("preprocess", "resize"), {"size": 0, "filter": "bilinear", "antialias": True}),
        (("preprocess", "resize"), {"size": [8, 8.5], "filter": "bilinear", "antialias": True}),
        (("preprocess", "resize"), {"size": 8, "filter": "lanczos", "antialias": True}),
        (("preprocess", "resize"), {"size": 8, "filter": "bilinear", "antialias": 1}),
        (("models", "segmentation"), {}),
        (("models", "classification", "inputs"), []),
        (("models", "classification", "inputs", 0, "shape"), ["batch", 1, 8, 8]),
        (("models", "classification", "inputs", 0, "shape"), ["batch", 3, 8, 0]),
        (("models", "classification", "outputs", 1, "name"), "chance"),
        (("models", "classification", "batch", "min"), 2),
        (("models", "classification", "multiple_of"), 0),
        (("golden", "image", "sha256"), "0" * 64),
    ],
    ids=lambda given: ".".join(map(str, given)) if isinstance(given, tuple) else str(given),
)
def test_a_manifest_that_makes_no_sense_is_refused(
    path: tuple[Any, ...], value: object, copy: Path
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    spoil.change(copy, change)
    with pytest.raises(BundleError, match="images"):
        Classifier(copy, engine=TRACE)


@pytest.mark.parametrize("key", ["classes", "preprocess", "models", "golden", "made_by"])
def test_deep_nesting_is_refused(key: str, copy: Path) -> None:
    spoil.change(copy, lambda m: m.update({key: "DEEP"}))
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace('"DEEP"', "[" * 200_000 + "]" * 200_000))
    with pytest.raises(BundleError, match=key):
        Classifier(copy, engine=TRACE)


@pytest.mark.parametrize("key", ["classes", "preprocess", "models", "golden", "verification"])
def test_a_key_that_is_missing_says_to_export_again(key: str, copy: Path) -> None:
    spoil.change(copy, lambda m: m.pop(key))
    with pytest.raises(BundleError, match=f"{key} is missing.*older lunart.*luna-export"):
        Classifier(copy, engine=TRACE)


# --- accepted ------------------------------------------------------------------------------------


def test_every_engine_says_what_numpy_computes(bundle: Path) -> None:
    pixels = picture(SIDE, SIDE, 3)
    ran = []
    for status in _core.engines():
        if not status["supported"] or not {"onnx", TRACE} & set(status["artifacts"]):
            continue
        found = Classifier(bundle, engine=status["name"], threads=2)(pixels)
        _check(found, pixels)
        assert found.engine.name == status["name"]
        ran.append(status["name"])
    assert ran


def test_the_environment_replaces_auto(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNART_ENGINE", TRACE)
    assert Classifier(bundle)(picture(SIDE, SIDE)).engine.name == TRACE
    monkeypatch.setenv("LUNART_ENGINE", "none")
    with pytest.raises(UsageError, match="none"):
        Classifier(bundle)
    assert Classifier(bundle, TRACE)(picture(SIDE, SIDE)).engine.name == TRACE


def test_a_file_an_array_and_a_pil_image_are_one_picture(
    tmp_path: Path, classifier: Classifier
) -> None:
    pixels = picture(SIDE, SIDE, 4)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    results = [classifier(given) for given in (path, str(path), pixels, Image.open(path))]
    for found in results:
        _check(found, pixels)
        assert found.classes == results[0].classes
    assert [found.image.path for found in results] == [str(path), str(path), None, None]
    assert results[0].timings_s.read > 0


def test_pil_images_of_other_modes_are_converted(classifier: Classifier) -> None:
    image = Image.fromarray(picture(SIDE, SIDE)).convert("L")
    _check(classifier(image), np.asarray(image.convert("RGB")))


def test_arrays_need_not_be_contiguous(classifier: Classifier) -> None:
    pixels = picture(2 * SIDE, SIDE)[::-2, ::-1]
    _check(classifier(pixels), np.ascontiguousarray(pixels))


@pytest.mark.parametrize("n", [0, 1, 2, 17, 300])
def test_a_batch_gives_a_list_in_order(n: int, bundle: Path) -> None:
    classifier = Classifier(bundle, engine=TRACE, threads=2)
    pictures = [picture(SIDE, SIDE, seed) for seed in range(n)]
    found = classifier(pictures)
    assert len(found) == n
    for result, pixels in zip(found, pictures, strict=True):
        _check(result, pixels)
    if n:
        again = classifier(np.stack(pictures))
        assert [r.decoded_sha256 for r in again] == [r.decoded_sha256 for r in found]
        _check(classifier(iter(pictures))[0], pictures[0])  # type: ignore[call-overload]


def test_pictures_of_different_sizes_are_resized_in_one_batch(copy: Path) -> None:
    spoil.change(
        copy,
        lambda m: m["preprocess"].update(
            resize={"size": 10, "filter": "bilinear", "antialias": True}, center_crop=[SIDE, SIDE]
        ),
    )
    classifier = Classifier(copy, engine=TRACE)
    pictures = [picture(20 + k, 60 - k, k) for k in range(9)]
    for one, pixels in zip(classifier(pictures), pictures, strict=True):
        image = _core.preprocessed(copy, _core.Image(pixels))
        expected = handmade_images.outputs_of(image[None])[1][0]
        got = {entry.name: entry.probability for entry in one.classes}
        assert [got[name] for name in CLASSES] == pytest.approx(list(expected), abs=1e-5)


def test_no_batch_is_larger_than_the_bundle_allows(copy: Path) -> None:
    sizes = []

    def network(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        sizes.append(len(images))
        return handmade_images.outputs_of(images)

    core = handmade_images.handmade(copy, network)
    core.classify([_core.Image(picture(SIDE, SIDE)) for _ in range(40)])
    assert sizes == [16, 16, 8]


def test_pictures_are_forgotten_as_soon_as_they_are_classified(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [picture(SIDE, SIDE, seed) for seed in range(5)]
    expected = [found.decoded_sha256 for found in classifier(pictures)]
    monkeypatch.setattr("lunart.classifier._MOST_BYTES", 2 * pictures[0].size)
    sizes = []
    batch = Classifier._batch
    monkeypatch.setattr(
        Classifier, "_batch", lambda self, images: sizes.append(len(images)) or batch(self, images)
    )
    assert [found.decoded_sha256 for found in classifier(pictures)] == expected
    assert sizes == [2, 2, 1]


def test_what_the_reader_did_is_in_the_warnings(tmp_path: Path, classifier: Classifier) -> None:
    animated = pngs.random_png(
        SIDE, SIDE, pngs.RGB, 8, extra=[pngs.chunk(b"acTL", bytes([0, 0, 0, 2, 0, 0, 0, 0]))]
    )
    grey = pngs.random_png(SIDE, SIDE, pngs.GREY, 16)
    exif = pngs.chunk(b"eXIf", pngs.orientation(6))
    turned = pngs.random_png(SIDE, SIDE, pngs.RGB, 8, extra=[exif])
    for content, code in ((animated, "animation"), (grey, "grey-16-bit"), (turned, "orientation")):
        found = classifier(pngs.write(tmp_path, content))
        CHECKED.validate(found.to_dict())
        assert [warning.code for warning in found.warnings] == [code]
        assert code in str(found)


def test_a_result_is_for_people_and_machines(tmp_path: Path, classifier: Classifier) -> None:
    found = classifier(pngs.write(tmp_path, pngs.random_png(SIDE, SIDE, pngs.RGB, 8)))
    assert found.best.name in repr(found)
    assert "picture.png" in str(found)
    assert all(name in str(found) for name in CLASSES)
    data = found.to_dict()
    assert data == json.loads(found.to_json())
    times = data["timings_s"]
    assert times["total"] == pytest.approx(
        sum(times[k] for k in ("read", "preprocess", "classify"))
    )
