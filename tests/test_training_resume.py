"""A training that is stopped, at whatever moment, goes on and ends as if it had not been."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lunart import _core
from lunart.errors import BundleError, OutputError, UsageError
from lunart.training import storage
from lunart.training.record import LAST, METRICS, RUN, WEIGHTS
from tiny_training import EPOCHS, Boxes, Squares, TinySource, at, train

pytestmark = pytest.mark.usefixtures("_one_thread")


class StopError(Exception):
    """What ends a run in these tests."""


def stop() -> None:
    raise StopError


@pytest.fixture(scope="module", params=[Squares, Boxes])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A kind of source, and the folder of a run on it that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(folder, TinySource(request.param))
    torch.set_num_threads(threads)
    return request.param, folder


def same_files(a: Path, b: Path) -> bool:
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in (WEIGHTS,))


def same_state(a: Path, b: Path) -> bool:
    one, other = (storage.read(folder / LAST) for folder in (a, b))
    states = one["state_dict"], other["state_dict"]
    moments = (c["optimizer_states"][0]["state"] for c in (one, other))
    mine, theirs = moments
    return all(torch.equal(states[0][k], states[1][k]) for k in states[0]) and all(
        torch.equal(mine[k][name], theirs[k][name]) for k in mine for name in mine[k]
    )


@pytest.mark.parametrize("epoch", [0, 1, EPOCHS - 1, -1], ids=["first", "middle", "last", "valid"])
def test_a_run_that_is_stopped_ends_as_if_it_had_not_been(whole, epoch: int, tmp_path: Path):
    kind, folder = whole
    with pytest.raises(StopError):
        train(tmp_path, TinySource(kind, hooks={epoch: at(5, stop)}))
    train(tmp_path, TinySource(kind))
    assert same_files(tmp_path, folder)
    assert same_state(tmp_path, folder)
    assert [
        json.loads(line)["number"] for line in (tmp_path / METRICS).read_text().splitlines()
    ] == [1, 2, 3]


def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path: Path):
    program = Path(__file__).with_name("tiny_training.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(
        [sys.executable, program, tmp_path / "killed"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len((tmp_path / "killed" / METRICS).read_text().splitlines()) == EPOCHS - 1
    train(tmp_path / "killed")
    train(tmp_path / "whole")
    assert same_files(tmp_path / "killed", tmp_path / "whole")
    assert same_state(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("written", [WEIGHTS, LAST, METRICS])
def test_a_full_disk_leaves_the_last_good_state(whole, written: str, tmp_path: Path, monkeypatch):
    kind, folder = whole
    write = _core.write_file_atomically
    count = 0

    def full(path, content) -> None:
        nonlocal count
        count += Path(path).name == written
        if count == 2:
            raise OutputError(f"{path}: {os.strerror(errno.ENOSPC)}")
        write(path, content)

    monkeypatch.setattr(_core, "write_file_atomically", full)
    with pytest.raises(OutputError, match="No space left"):
        train(tmp_path, TinySource(kind))
    monkeypatch.undo()
    storage.read(tmp_path / LAST)
    train(tmp_path, TinySource(kind))
    assert same_files(tmp_path, folder)
    assert same_state(tmp_path, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_folder_that_goes_on(whole, number: int, tmp_path: Path):
    kind, folder = whole
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    hooks = {1: at(5, lambda: os.kill(os.getpid(), number))}
    with pytest.raises(KeyboardInterrupt, match="the same command goes on after epoch 1"):
        train(tmp_path, TinySource(kind, hooks=hooks))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    train(tmp_path, TinySource(kind))
    assert same_files(tmp_path, folder)


def test_a_finished_run_is_not_trained_again(whole, tmp_path: Path, capsys):
    kind, folder = whole
    before = (folder / LAST).read_bytes()
    outcome = train(folder, TinySource(kind, hooks={k: at(0, stop) for k in (-1, 0, 1, 2, 3)}))
    assert len(outcome.epochs) == EPOCHS
    assert (folder / LAST).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: train(f, batch=2), r"settings\.batch is 4 there and 2 here"),
        (lambda f: train(f, epochs=9), r"settings\.epochs is 3 there and 9 here"),
        (
            lambda f: train(f, replace(TinySource(), fingerprint="other")),
            "data is 'tiny' there and 'other' here",
        ),
        (
            lambda f: train(f, TinySource(Boxes)),
            r"architecture is 'unet\(.*\)' there and 'luna-classifier\(.*\)' here",
        ),
    ],
    ids=["settings", "epochs", "data", "architecture"],
)
def test_another_run_in_the_folder_is_refused(
    change: Callable[[Path], object], words: str, tmp_path: Path
):
    train(tmp_path, epochs=EPOCHS, source=TinySource(count=4, validated=2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=words) as refused:
        change(tmp_path)
    assert "--restart" in str(refused.value)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


def test_a_run_that_never_finished_an_epoch_is_another_run_too(tmp_path: Path):
    with pytest.raises(StopError):
        train(tmp_path, TinySource(hooks={0: at(5, stop)}))
    with pytest.raises(UsageError, match="holds another run"):
        train(tmp_path, seed=2)


def test_restart_begins_anew(tmp_path: Path):
    from lunart.training.fit import fit
    from lunart.training.tasks import Segmentation
    from tiny_training import settings, tiny_segmenter

    for seed in (1, 2):
        outcome = fit(
            tiny_segmenter(), Segmentation(), TinySource(count=4, validated=2),
            settings(seed=seed, epochs=1), tmp_path, restart=True,
        )  # fmt: skip
        assert len(outcome.epochs) == 1
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_weights_of_an_unknown_run_are_not_overwritten(tmp_path: Path):
    (tmp_path / WEIGHTS).write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"weights\.safetensors of a run that nothing is known of"):
        train(tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == b"precious"


def test_missing_weights_of_a_run_are_named(tmp_path: Path):
    train(tmp_path, epochs=1, source=TinySource(count=4, validated=2))
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors of the best epoch is missing"):
        train(tmp_path, epochs=1, source=TinySource(count=4, validated=2))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "code", "other"])
def test_a_damaged_checkpoint_is_named_and_runs_nothing(damage: str, tmp_path: Path):
    train(tmp_path, epochs=1, source=TinySource(count=4, validated=2))
    path = tmp_path / LAST
    good = path.read_bytes()
    if damage == "code":
        torch.save({"x": Touch(tmp_path / "touched")}, path)
    elif damage == "other":
        torch.save({"epoch": 1}, path)
    else:
        path.write_bytes({"truncated": good[:-500], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(BundleError, match=r"last\.ckpt.*--restart begins anew"):
        train(tmp_path, epochs=1, source=TinySource(count=4, validated=2))
    assert not (tmp_path / "touched").exists()


class Touch:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_run_description_of_something_else_is_named(tmp_path: Path):
    (tmp_path / RUN).write_text("{}")
    with pytest.raises(BundleError, match=r"run\.json: not written by this program"):
        train(tmp_path)


def test_weights_come_before_the_checkpoint(tmp_path: Path, monkeypatch):
    """Killed between them, a run repeats the epoch; the other way round the best would be lost."""
    written: list[str] = []
    write = _core.write_file_atomically

    def spy(path, content) -> None:
        written.append(Path(path).name)
        write(path, content)

    monkeypatch.setattr(_core, "write_file_atomically", spy)
    train(tmp_path, epochs=1, source=TinySource(count=4, validated=2))
    assert written.index(WEIGHTS) < written.index(LAST) < written.index(METRICS)
