"""CIFAR-10 from a folder, an archive or the binary version: what is refused, what comes out."""

from __future__ import annotations

import io
import pickle
import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lunart.data.cache import Cache, NoCache
from lunart.data.cifar import BIRDS_VERSUS_AIRPLANES, CifarSettings, CifarSource
from lunart.data.pictures import CLASSES, read_pictures
from lunart.errors import DataError, UsageError
from lunart.training.source import Samples
from PIL import Image

TRAIN, TEST = 12, 3
SMALL = CifarSettings(classes=BIRDS_VERSUS_AIRPLANES, validate_every=4)
STILL = CifarSettings(classes=BIRDS_VERSUS_AIRPLANES, validate_every=4, flip=False, shift=0)


def noise(part: str, label: int, number: int) -> np.ndarray:
    """Every picture another one, classes of other brightness."""
    rng = np.random.default_rng([part == "train", label, number])
    return rng.integers(10 * label, 120 + 10 * label, (32, 32, 3)).astype(np.uint8)


def write_folder(folder: Path) -> Path:
    for part, count in (("train", TRAIN), ("test", TEST)):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(noise(part, label, k)).save(folder / part / name / f"{k:04}.png")
    return folder


def write_binary(folder: Path) -> Path:
    """The same pictures in five batches, mixed."""
    folder.mkdir(parents=True)

    def record(part: str, label: int, number: int) -> bytes:
        return bytes([label]) + noise(part, label, number).transpose(2, 0, 1).tobytes()

    for batch in range(5):
        numbers = range(batch * TRAIN // 5, (batch + 1) * TRAIN // 5)
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(
            b"".join(record("train", label, k) for k in numbers for label in range(10))
        )
    (folder / "test_batch.bin").write_bytes(
        b"".join(record("test", label, k) for k in range(TEST) for label in range(10))
    )
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES))
    return folder


def packed(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


def jpeg(side: int = 32) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, "JPEG")
    return stream.getvalue()


def source(path: Path, settings: CifarSettings = STILL, seed: int = 1) -> CifarSource:
    return CifarSource(path, seed=seed, settings=settings, store=NoCache())


def pixels(found: CifarSource, samples: Samples, index: int) -> np.ndarray:
    """The picture behind an unchanged sample."""
    image = samples[index]["image"].transpose(1, 2, 0)
    return np.rint((image * found.deviation + found.mean) * 255).astype(int)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("cifar") / "cifar10")


@pytest.fixture
def folder(shared_folder: Path, tmp_path: Path) -> Path:
    """A copy of one's own to spoil."""
    return Path(shutil.copytree(shared_folder, tmp_path / "cifar10"))


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    return write_binary(tmp_path / "cifar-10-batches-bin")


def test_nothing_there_says_what_was_expected(tmp_path: Path):
    with pytest.raises(DataError, match=r"no such file or folder; expected train/<class>"):
        source(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no pictures; expected train/<class>"):
        source(tmp_path)


@pytest.mark.parametrize("gone", ["missing", "empty"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_without_pictures_is_named(folder: Path, part: str, gone: str):
    shutil.rmtree(folder / part / "bird")
    if gone == "empty":
        (folder / part / "bird").mkdir()
    with pytest.raises(DataError, match=rf"no {part} pictures of bird: {part}/bird is missing or"):
        source(folder).test()
    # It takes nothing from those who do not ask for it.
    cats = CifarSettings(classes=("cat", "dog"), validate_every=4)
    assert len(source(folder, cats).test()) == 2 * TEST


def test_too_few_pictures_to_validate_are_named(folder: Path):
    with pytest.raises(DataError, match="12 training pictures of airplane: one in 13 validates"):
        source(folder, CifarSettings(validate_every=13))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be decoded"),
        (b"no picture", "cannot be decoded"),
        (jpeg()[:-200], "cannot be decoded"),
        (b"GIF89a" + bytes(100), "cannot be decoded"),
        (jpeg(33), "33x33 pixels, expected 32x32"),
        (b"x" * ((1 << 26) + 1), "larger than 65536 KB"),
    ],
    ids=["empty", "text", "cut", "gif", "size", "huge"],
)
def test_a_picture_that_is_none_is_named(folder: Path, content: bytes, message: str):
    (folder / "train" / "frog" / "0003.jpg").write_bytes(content)
    with pytest.raises(DataError, match=rf"train/frog/0003\.jpg.*{message}"):
        source(folder)


def test_a_picture_that_would_unpack_to_gigabytes_is_judged_by_its_header(folder: Path):
    path = folder / "train" / "frog" / "0003.png"
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"frog/0003\.png: (40000x40000 pixels|cannot be decoded)"):
        source(folder)


def test_a_misspelt_class_is_named(folder: Path):
    (folder / "train" / "frog").rename(folder / "train" / "toad")
    with pytest.raises(DataError, match=r"toad/.*: toad is no class of CIFAR-10: airplane, auto"):
        source(folder)


@pytest.mark.parametrize(("first", "second"), [("train/cat", "test/cat"), ("train/cat",) * 2])
def test_the_same_pixels_twice_are_a_leak(folder: Path, first: str, second: str):
    copy = folder / second / "0777.png"
    Image.open(folder / first / "0001.png").save(copy, compress_level=0)
    with pytest.raises(DataError, match=rf"leak: picture 2 of {first} and picture \d+ of {second}"):
        source(folder)


@pytest.mark.parametrize("name", ["data_batch_1", "batches.meta"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str):
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("unpickled",))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    for path in (folder, packed(folder, tmp_path / "cifar-10-python.tar.gz")):
        with pytest.raises(DataError, match=rf"{name}: .*pickled.*take the binary version"):
            source(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:-1], "are not a number of records of 3073"),
        (lambda content: b"", "0 bytes are not"),
        (lambda content: b"\x0a" + content[1:], "label 10, expected 0 to 9"),
    ],
    ids=["cut", "empty", "label"],
)
def test_a_spoilt_batch_is_named(binary: Path, spoil: Callable[[bytes], bytes], message: str):
    path = binary / "data_batch_3.bin"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=rf"data_batch_3\.bin: .*{message}"):
        source(binary)


def test_a_missing_batch_is_named(binary: Path):
    (binary / "data_batch_2.bin").unlink()
    (binary / "data_batch_5.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_2\.bin, data_batch_5\.bin missing"):
        source(binary)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz"])
def test_a_damaged_archive_is_named(binary: Path, tmp_path: Path, suffix: str):
    path = packed(binary, tmp_path / f"cifar{suffix}")
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for spoilt in (b"", b"no archive", content[:-9], content[: len(content) // 2], bytes(flipped)):
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"cifar\.tar.*(damaged|label|records|missing)"):
            source(path)


def test_links_devices_and_paths_of_an_archive_lead_nowhere(folder: Path, tmp_path: Path):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in (("a", tarfile.SYMTYPE), ("b", tarfile.LNKTYPE), ("c", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"train/bird/{name}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for part in ("train", "test"):
            archive.add(folder / part, f"../../{part}")
    before = sorted(tmp_path.parent.rglob("*"))
    assert source(path).fingerprint == source(folder).fingerprint
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_a_file_of_an_archive_beyond_the_limit_is_refused(tmp_path: Path):
    path = tmp_path / "large.tar.gz"
    member = tarfile.TarInfo("train/bird/0.png")
    member.size = (1 << 26) + 1
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(DataError, match=r"train/bird/0\.png is larger than"):
        source(path)


@pytest.mark.parametrize(
    "setting",
    [
        {"classes": ("bird", "boat")},
        {"classes": ("bird", "bird")},
        {"classes": ("bird",)},
        {"validate_every": 1},
        {"shift": 32},
        {"shift": -1},
    ],
)
def test_a_setting_without_sense_is_named(setting: dict[str, object]):
    with pytest.raises(UsageError, match=f"{next(iter(setting))} (is|are) "):
        CifarSettings(**setting)


def test_folder_archive_and_binary_version_are_the_same(
    shared_folder: Path, binary: Path, tmp_path: Path
):
    paths = [
        shared_folder,
        packed(shared_folder, tmp_path / "cifar10.tar.xz"),
        binary,
        packed(binary, tmp_path / "cifar-10-binary.tar.gz"),
        binary.parent,  # a folder above it
    ]
    assert len({source(path).fingerprint for path in paths}) == 1
    found = read_pictures(binary)
    assert found.rgb.shape == (10 * (TRAIN + TEST), 32, 32, 3)
    assert found.rgb.dtype == np.uint8
    np.testing.assert_array_equal(found.rgb[2 * TRAIN + 5], noise("train", 2, 5))


def test_birds_versus_airplanes_have_the_labels_of_the_book(shared_folder: Path):
    found = source(shared_folder)
    assert found.classes == ("airplane", "bird")
    test = found.test()
    assert [int(test[k]["label"]) for k in range(len(test))] == [0] * TEST + [1] * TEST
    np.testing.assert_array_equal(pixels(found, test, TEST), noise("test", 2, 0))
    turned = source(shared_folder, CifarSettings(classes=("bird", "airplane"), validate_every=4))
    assert [int(turned.test()[k]["label"]) for k in (0, TEST)] == [1, 0]


def test_ten_classes_are_all_there(shared_folder: Path):
    found = source(shared_folder, CifarSettings(validate_every=4))
    labels = [int(found.test()[k]["label"]) for k in range(10 * TEST)]
    assert labels == [k for k in range(10) for _ in range(TEST)]
    assert len(found.epoch(0)) == 10 * TRAIN * 3 // 4
    assert len(found.validation()) == 10 * TRAIN // 4


def test_a_sample_has_the_types_of_the_loop(shared_folder: Path):
    sample = source(shared_folder).epoch(0)[0]
    assert (sample["image"].shape, sample["image"].dtype) == ((3, 32, 32), np.float32)
    assert (sample["label"].shape, sample["label"].dtype) == ((), np.int64)


def test_mean_and_deviation_are_of_what_is_learnt_from(shared_folder: Path):
    found = source(shared_folder)
    epoch = found.epoch(0)
    images = np.stack([epoch[k]["image"] for k in range(len(epoch))])
    np.testing.assert_allclose(images.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(images.std((0, 2, 3)), 1, atol=1e-5)
    rgb = np.stack([noise("train", c, k) for c in (0, 2) for k in range(TRAIN) if k % 4 != 3])
    np.testing.assert_allclose(found.mean, (rgb / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, (rgb / 255).std((0, 1, 2)), rtol=1e-9)


def test_validation_is_every_fourth_of_a_class_whatever_the_seed(shared_folder: Path):
    expected = [noise("train", c, k) for c in (0, 2) for k in range(3, TRAIN, 4)]
    for seed in (1, 2):
        found = source(shared_folder, SMALL, seed)
        validation = found.validation()
        seen = [pixels(found, validation, k) for k in range(len(validation))]
        np.testing.assert_array_equal(seen, expected)
    learnt = {pixels(found, source(shared_folder).epoch(0), k).tobytes() for k in range(18)}
    assert len(learnt) == 18
    assert not learnt & {picture.astype(int).tobytes() for picture in expected}


def test_training_pictures_are_flipped_and_shifted_up_to_four_pixels(shared_folder: Path):
    settings = CifarSettings(classes=BIRDS_VERSUS_AIRPLANES, validate_every=4)
    found = source(shared_folder, settings)
    plain = [noise("train", c, k) for c in (0, 2) for k in range(TRAIN)]
    seen = set()
    for number in range(12):
        epoch = found.epoch(number)
        for k in range(len(epoch)):
            seen.add(_change(pixels(found, epoch, k), plain, found.mean))
    flips, downs, rights = (set(values) for values in zip(*seen, strict=True))
    assert flips == {False, True}
    assert downs == rights == set(range(-4, 5))


def _change(
    picture: np.ndarray, plain: list[np.ndarray], mean: tuple[float, float, float]
) -> tuple[bool, int, int]:
    """How one of the plain pictures became this one; what came in must have the mean colour."""
    for flip in (False, True):
        shown = picture[:, ::-1] if flip else picture
        for whole in plain:
            for down, right in np.argwhere((whole == shown[16, 16]).all(-1)) - 16:
                rows, cols = (slice(max(0, -d), 32 - max(0, d)) for d in (down, right))
                if max(abs(down), abs(right)) > 4:
                    continue
                moved = whole[max(0, down) :, max(0, right) :][: rows.stop - rows.start]
                moved = moved[:, : cols.stop - cols.start]
                if np.array_equal(shown[rows, cols], moved):
                    outside = np.ones((32, 32), bool)
                    outside[rows, cols] = False
                    assert (shown[outside] == np.rint(np.array(mean) * 255)).all()
                    return flip, int(down), int(right)
    raise AssertionError("none of the training pictures")


def test_samples_are_a_function_of_seed_epoch_and_index(shared_folder: Path):
    first, again, other = (source(shared_folder, SMALL, seed) for seed in (1, 1, 2))
    again.epoch(5)[0]  # what was asked for before changes nothing
    one, two = first.epoch(3), pickle.loads(pickle.dumps(again.epoch(3)))
    for k in (7, 0, 17):
        np.testing.assert_array_equal(one[k]["image"], two[k]["image"])
        assert one[k]["label"] == two[k]["label"]
    assert first.fingerprint == again.fingerprint != other.fingerprint
    for samples in (first.epoch(4), other.epoch(3)):
        assert not np.array_equal(one[0]["image"], samples[0]["image"])


def test_pictures_are_decoded_once(shared_folder: Path, tmp_path: Path, monkeypatch):
    folder = Path(shutil.copytree(shared_folder, tmp_path / "cifar10"))
    cache = tmp_path / "cache"
    first = CifarSource(folder, seed=1, settings=SMALL, store=Cache(cache))
    monkeypatch.setattr("lunart.data.pictures._decoded", lambda *_: pytest.fail("decoded again"))
    again = CifarSource(folder, seed=1, settings=SMALL, store=Cache(cache))
    assert first.fingerprint == again.fingerprint
    monkeypatch.undo()
    Image.fromarray(noise("train", 2, 99)).save(folder / "train" / "bird" / "0000.png")
    changed = CifarSource(folder, seed=1, settings=SMALL, store=Cache(cache))
    assert changed.fingerprint != first.fingerprint


@pytest.mark.slow
def test_the_real_one_has_the_numbers_of_the_book(shared_data: Path, tmp_path: Path):
    path = shared_data / "cifar10" / "cifar10-jpg.tar.xz"
    found = CifarSource(path, seed=1, store=Cache(tmp_path / "cache"))
    counts = (len(found.epoch(0)), len(found.validation()), len(found.test()))
    assert counts == (45_000, 5_000, 10_000)
    # Section 7.1.4; JPEG and a tenth of the pictures away.
    np.testing.assert_allclose(found.mean, (0.4915, 0.4823, 0.4468), atol=2e-3)
    np.testing.assert_allclose(found.deviation, (0.2470, 0.2435, 0.2616), atol=3e-3)
