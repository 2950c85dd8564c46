"""Fixtures that several test modules share: real scans, one exported bundle, one phantom scan."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import lunart
import openvino_here
import pytest
from browser import chromium, page
from luna_folder import phantoms
from lunart.bundle import ROLES, Bundle
from lunart.export.formats import DEFAULT, Format, chosen
from lunart.export.writer import write_bundle
from lunart.models.checkpoint import load_checkpoint
from lunart.networks import torch_threads
from lunart.phantom import generate, write
from lunart.registry import engines_of
from small_weights import write_small_weights

#: One folder and one browser for all modules; a fixture that each imported would be made for each.
__all__ = ["chromium", "page", "phantoms"]
PACKAGE = Path(lunart.__file__).parent
SMALL_WEIGHTS = Path(__file__).parent / "weights"
_DAY_S = 24 * 3600.0


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """A shell's background job ignores Ctrl-C, one under nohup the end of its terminal.

    So would the programs that tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines keep compiled models in the user's cache folder: not the tests' ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scans: ``LUNART_DATA``, else ``../shared/data`` beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LUNART_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real scans: {folder} is absent (set LUNART_DATA)")
    return folder


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """For eager PyTorch in this process: its threads spin, which a busy machine punishes."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def bundle_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Narrow networks that find nodules of phantoms; the malignancy network is a random one."""
    folder = tmp_path_factory.mktemp("bundle-weights")
    small = {role: SMALL_WEIGHTS / f"{role}.safetensors" for role in ROLES[:2]}
    return {**small, "malignancy": write_small_weights(folder, "malignancy", 2)}


@pytest.fixture(scope="session")
def shipped_bundle(request: pytest.FixtureRequest) -> Path:
    """The weights that come with the package, as `luna-export` would find them, as ONNX alone."""
    weights = {
        role: path
        for role in ROLES
        if (path := PACKAGE / "weights" / f"{role}.safetensors").exists()
    }
    return cached_bundle(request.config, "shipped", weights, chosen("onnx"))


@pytest.fixture(scope="session")
def bundle(bundle_weights: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    """A bundle with every portable format and three networks; read only, kept between runs."""
    return cached_bundle(request.config, "luna", bundle_weights)


@pytest.fixture(scope="session")
def phantom_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated thorax of 40 slices of 160x160, as ``.mhd``."""
    return write(generate(11, shape_irc=(40, 160, 160)), tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="session")
def small_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated thorax of 16 slices of 64x64: quick, for what does not depend on the picture."""
    return write(generate(11, shape_irc=(16, 64, 64)), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def openvino_supported() -> None:
    """Skips where the native OpenVINO engine does not run."""
    status = openvino_here.status()
    if not status["supported"]:
        pytest.skip(f"OpenVINO does not run here: {status['why_not']}")


@pytest.fixture
def openvino_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where compiled models are kept: an empty cache of the test's own, not yet made."""
    base = tmp_path / "cache"
    base.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    return base / "lunart" / openvino_here.ENGINE


@pytest.fixture(scope="session")
def engines(bundle: Path) -> tuple[str, ...]:
    """Every engine that can run the bundle here; the first is the reference."""
    names = ("eager", *engines_of(Bundle.open(bundle)))
    print(f"engines: {', '.join(names)}")
    return names


def cached_bundle(
    config: pytest.Config,
    name: str,
    weights: dict[str, Path],
    formats: Sequence[Format] = chosen(DEFAULT),
) -> Path:
    """Export ``weights``, or find what an earlier run exported from the same code and weights.

    One name is one choice of formats.
    """
    sources = [
        path
        for pattern in ("**/*.py", "*.so")
        for path in sorted(PACKAGE.glob(pattern))
        if not {"data", "evaluation", "training"} & set(path.parts)
    ]
    folder = config.cache.mkdir("lunart-bundles") / _digest([*sources, *weights.values()])
    if not (folder / name / "manifest.json").exists():
        _forget_old(folder.parent)
        checkpoints = {role: load_checkpoint(path, role) for role, path in weights.items()}
        write_bundle(folder / name, name=name, checkpoints=checkpoints, formats=formats)
    os.utime(folder)
    return folder / name


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _forget_old(folder: Path) -> None:
    """Remove what no run has used for a day; another run may be using the rest."""
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > _DAY_S:
            shutil.rmtree(old, ignore_errors=True)
