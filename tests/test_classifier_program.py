"""``luna_infer`` over a bundle that classifies images: exit codes first, then what it writes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import handmade_images
import jsonschema
import numpy as np
import pngs
import program
import pytest
import spoil
from handmade_images import CLASSES, SIDE, picture
from lunart import Classifier
from PIL import Image

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "classification.schema.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
TRACE = "torchscript-trace"
CHECK_FAILED = 6


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program.path()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade_images.write_bundle(tmp_path_factory.mktemp("program") / "images")


@pytest.fixture
def options(images: Path) -> tuple[str, ...]:
    return (f"--bundle={images}", f"--engine={TRACE}", "--threads=1")


@pytest.fixture
def copy(images: Path, tmp_path: Path) -> Path:
    return spoil.copy_of(images, tmp_path / "images")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(picture(SIDE, SIDE, 2)).save(path)
    return path


# --- refused -------------------------------------------------------------------------------------


def test_a_scan_is_no_picture(options: tuple[str, ...], small_scan: Path) -> None:
    message = program.refused(3, small_scan, *options)
    assert small_scan.name in message
    assert "is a scan" in message


@pytest.mark.parametrize("name", ["picture.png", "picture", "picture.JPG"])
def test_a_picture_is_no_scan(name: str, bundle: Path, png: Path) -> None:
    given = png.rename(png.with_name(name))
    message = program.refused(3, given, f"--bundle={bundle}")
    assert name in message
    assert "is a picture" in message
    assert "--bundle" in message


@pytest.mark.parametrize(
    "option",
    ["--region=off", "--threshold=0.5", "--all-candidates", "--csv=x.csv", "--mask=x.mhd",
     "--region-mask=x.mhd"],
)  # fmt: skip
def test_options_of_scans_are_refused(
    option: str, options: tuple[str, ...], png: Path, tmp_path: Path
) -> None:
    message = program.refused(2, png, *options, option, cwd=tmp_path)
    assert option.split("=")[0] + " " in message
    assert "classifies images" in message
    assert sorted(tmp_path.iterdir()) == [png]


def test_what_is_no_picture_ends_with_3(options: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(pngs.random_png(SIDE, SIDE, pngs.RGB, 8)[:60])
    (tmp_path / "folder.png").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "none.png"]:
        assert path.name in program.refused(3, path, *options)


def test_a_json_that_would_replace_the_picture_is_refused(
    options: tuple[str, ...], png: Path
) -> None:
    content = png.read_bytes()
    assert "overwrite" in program.refused(2, png, *options, f"--json={png}")
    assert png.read_bytes() == content


# --- results -------------------------------------------------------------------------------------


def test_a_picture_has_the_result_that_python_gives(
    options: tuple[str, ...], images: Path, png: Path
) -> None:
    found = program.result_of(png, *options)
    CHECKED.validate(found)
    assert found["decoded_sha256"] == hashlib.sha256(picture(SIDE, SIDE, 2).tobytes()).hexdigest()
    expected = Classifier(images, TRACE, threads=1)(png).to_dict()
    for volatile in ("timings_s", "peak_rss_mb"):
        del found[volatile], expected[volatile]
    assert found == expected


def test_the_table_names_the_classes(options: tuple[str, ...], png: Path) -> None:
    done = program.run(png, *options)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in CLASSES)


def test_bad_pictures_among_good_ones_are_named(
    options: tuple[str, ...], png: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(picture(3, 4)).save(other)
    done = program.run(png, other, tmp_path / "none.png", png, *options, "--json=-")
    assert done.returncode == 3
    assert "other.png" in done.stderr
    assert "none.png" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"]["path"] for line in lines] == [str(png)] * 2


def test_many_pictures_have_a_line_each_in_order(options: tuple[str, ...], tmp_path: Path) -> None:
    paths = []
    for k in range(70):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(picture(SIDE, SIDE, k)).save(paths[-1])
    done = program.run(*paths, *options, f"--json={tmp_path / 'all.json'}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "all.json").read_text().splitlines()]
    assert [line["image"]["path"] for line in lines] == list(map(str, paths))


def test_info_shows_the_picture_and_the_task(options: tuple[str, ...], tmp_path: Path) -> None:
    path = pngs.write(tmp_path, pngs.random_png(9, 5, pngs.PALETTE, 4, interlaced=True))
    info = program.result_of("--info", path, *options)
    assert info["pictures"] == [
        {"path": str(path), "rows": 9, "cols": 5, "format": "PNG, 4-bit palette, interlaced"}
    ]
    assert info["bundle"]["task"] == "image-classification"
    assert info["bundle"]["classes"] == list(CLASSES)
    assert "bird" in program.run("--info", path, *options).stdout


# --- the self-check ------------------------------------------------------------------------------


def _failed(bundle: Path) -> list[dict[str, Any]]:
    done = program.run("--selfcheck", f"--bundle={bundle}", f"--engine={TRACE}", "--json=-")
    assert done.returncode in (0, CHECK_FAILED), done.stderr
    return [check for check in json.loads(done.stdout)["checks"] if not check["passed"]]


def test_the_self_check_passes_on_every_engine(images: Path) -> None:
    done = program.run("--selfcheck", f"--bundle={images}")
    assert done.returncode == 0, done.stdout + done.stderr
    for check in ("weights differing", "case probability", "decoded pixels", "probability max_abs"):
        assert check in done.stdout


def test_another_golden_image_fails_the_check(copy: Path) -> None:
    Image.fromarray(picture(SIDE, SIDE, 9)).save(copy / "golden" / "image.png")
    failed = {check["check"] for check in _failed(spoil.rehash(copy))}
    assert {"decoded pixels differ", "probability max_abs"} <= failed


def test_other_preprocessing_fails_the_check(copy: Path) -> None:
    spoil.change(copy, lambda m: m["preprocess"].update(mean=[0, 0, 0]))
    failed = {check["check"] for check in _failed(copy)}
    assert "probability max_abs" in failed
    assert "decoded pixels differ" not in failed


def test_classes_in_another_order_fail_the_check(copy: Path) -> None:
    spoil.change(copy, lambda m: m["classes"].reverse())
    assert {check["check"] for check in _failed(copy)} >= {"most probable class behind"}


def test_other_weights_fail_the_check(copy: Path) -> None:
    path = copy / "golden" / "classification.safetensors"
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    tensors["case.probability"] = np.roll(tensors["case.probability"], 1, axis=1)
    save_file(tensors, path)
    assert "case probability max_abs" in {c["check"] for c in _failed(spoil.rehash(copy))}


def test_a_bundle_without_a_golden_image_proves_nothing(copy: Path) -> None:
    spoil.change(copy, lambda m: m["golden"].pop("image"))
    assert "proves nothing" in program.refused(
        4, "--selfcheck", f"--bundle={copy}", f"--engine={TRACE}"
    )


def test_a_golden_result_that_is_none_is_named(copy: Path) -> None:
    (copy / "golden" / "image.json").write_text("{}")
    spoil.rehash(copy)
    message = program.refused(4, "--selfcheck", f"--bundle={copy}", f"--engine={TRACE}")
    assert "golden result" in message
