"""The ladder of image classifiers: what is counted, what is refused, what is written."""

from __future__ import annotations

import io
import json

import handmade_images
import numpy as np
import pytest
from lunart.bundle import Bundle
from lunart.errors import BundleError, UsageError
from lunart.evaluation.images import plots
from lunart.evaluation.images.__main__ import main
from lunart.evaluation.images.score import Labelled, Score, score
from lunart.evaluation.resampling import Bootstrap, Estimate
from PIL import Image

NAMES = ("airplane", "automobile", "bird", "cat")
ENGINE = "torchscript-trace"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return handmade_images.write_bundle(
        tmp_path_factory.mktemp("ladder") / "images",
        resize={"size": 8, "filter": "bilinear", "antialias": True},
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three pictures of each class, the size of CIFAR's."""
    root = tmp_path_factory.mktemp("pictures")
    for part in ("train", "test"):
        for number, name in enumerate(NAMES):
            (root / part / name).mkdir(parents=True)
            for k in range(3):
                rgb = handmade_images.picture(32, 32, seed=10 * number + k)
                Image.fromarray(rgb).save(root / part / name / f"{k}.png")
    return root


def labelled(counts=(3, 3, 3, 3)) -> Labelled:
    label = np.repeat(np.arange(len(counts)), counts)
    rgb = np.stack([handmade_images.picture(32, 32, seed=k) for k in range(len(label))])
    return Labelled(rgb, label, NAMES)


def made_up(probability, label, classes=("a", "b", "c")) -> Score:
    label = np.array(label)
    rgb = np.zeros((len(label), 4, 4, 3), np.uint8)
    return Score(
        name="made-up",
        pictures=Labelled(rgb, label, classes),
        probability=np.array(probability, np.float64),
        accuracy=Estimate(0.5),
        parameters=1,
        epochs=None,
        preprocess={"mean": [0.5] * 3, "deviation": [0.25] * 3},
        engine="by hand",
    )


CASE = made_up(
    [[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0, 0.6, 0.4], [0.3, 0.3, 0.4], [0.95, 0, 0.05]],
    [0, 0, 1, 2, 2],
)


def test_confusion_counted_by_hand():
    assert CASE.called.tolist() == [0, 1, 1, 2, 0]
    assert CASE.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_surest_mistakes_come_first():
    assert plots.surest_mistakes(CASE, 5).tolist() == [4, 1]
    assert plots.surest_mistakes(CASE, 1).tolist() == [4]


def test_pictures_are_labelled_in_the_order_of_the_bundles_classes():
    chosen = labelled((1, 2, 3, 4)).of(("bird", "airplane"))
    assert chosen.label.tolist() == [1, 0, 0, 0]
    assert (chosen.rgb[0] == handmade_images.picture(32, 32, seed=0)).all()
    assert (chosen.rgb[1] == handmade_images.picture(32, 32, seed=3)).all()


def test_a_bundle_is_judged_on_its_own_classes_by_what_it_answers(bundle):
    found = score(Bundle.open(bundle), labelled(), engine=ENGINE)
    assert found.pictures.classes == handmade_images.CLASSES
    assert len(found.pictures.label) == 9
    assert found.probability.sum(1) == pytest.approx(1, abs=1e-5)
    right = (found.called == found.pictures.label).mean()
    assert found.accuracy.value == pytest.approx(right)
    assert found.accuracy.low <= right <= found.accuracy.high
    assert found.confusion.sum() == 9
    assert found.confusion.sum(1).tolist() == [3, 3, 3]
    assert found.parameters == 3 * 8 * 8 * 3 + 3
    assert found.engine.startswith(ENGINE)


def test_truth_that_follows_the_answers_is_found_right(bundle):
    opened, some = Bundle.open(bundle), labelled((5, 0, 5, 5))
    answers = score(opened, some, engine=ENGINE).called
    names = [NAMES.index(handmade_images.CLASSES[k]) for k in answers]
    # In the order of the answers, which `of` keeps.
    assert score(opened, Labelled(_rgb(some), np.array(names), NAMES), engine=ENGINE).accuracy == (
        Estimate(1.0, 1.0, 1.0, Bootstrap().resamples)
    )


def _rgb(some: Labelled):
    return some.of(handmade_images.CLASSES).rgb


def test_no_picture_of_a_class_is_named(bundle):
    some = Labelled(labelled().rgb, labelled().label, ("airplane", "automobile", "bird", "dog"))
    with pytest.raises(BundleError, match="no picture is labelled cat") as caught:
        score(Bundle.open(bundle), some, engine=ENGINE)
    assert str(bundle) in str(caught.value)


def test_a_bundle_of_nodules_is_refused(bundle, tmp_path):
    from handmade import write_handmade

    with pytest.raises(UsageError, match=r"lunart\.Runner"):
        score(Bundle.open(write_handmade(tmp_path / "nodules")), labelled(), engine=ENGINE)


@pytest.mark.parametrize("picture", [plots.confusion(CASE), plots.examples(CASE, 1)])
def test_plots_are_pictures(picture):
    shown = Image.open(io.BytesIO(picture))
    shown.load()
    assert shown.format == "PNG"
    assert shown.width > 200


def test_the_program_prints_one_table_and_writes_what_it_is_asked(bundle, data, tmp_path, capsys):
    code = main(
        [
            *(str(data), str(bundle), str(bundle), "--engine", ENGINE),
            *("--json", str(tmp_path / "a.json"), "--plots", str(tmp_path / "plots")),
        ]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    head, *rows = printed.out.splitlines()
    assert {"network", "accuracy", "parameters", "mean", "deviation"} <= set(head.split())
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert "0.4915 0.4823 0.4468" in rows[0]
    written = json.loads((tmp_path / "a.json").read_text())["scores"]
    assert np.sum(written[0]["confusion"]) == 9
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {
        "handmade-images-confusion.png",
        "handmade-images-examples.png",
    }


def test_json_alone_on_standard_output(bundle, data, capsys):
    assert main([str(data), str(bundle), "--engine", ENGINE, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"][0]["name"] == "handmade-images"


@pytest.mark.parametrize(
    ("data_is", "bundle_is", "code", "complaint"),
    [
        ("missing", "good", 8, "no such file or folder"),
        ("good", "missing", 4, "nowhere"),
        ("good", "data", 4, "manifest.json"),
    ],
)
def test_what_is_not_there_is_named(
    bundle, data, tmp_path, capsys, data_is, bundle_is, code, complaint
):
    chosen = {"good": bundle, "missing": tmp_path / "nowhere", "data": data}[bundle_is]
    folder = data if data_is == "good" else tmp_path / "absent"
    assert main([str(folder), str(chosen), "--engine", ENGINE]) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert complaint in error
    assert "Traceback" not in error
