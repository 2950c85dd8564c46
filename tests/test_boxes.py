"""The boxes of slices: they hold all that the region's answers depend on, without seams."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import oracles
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from handmade import FloatArray, found, runner, scan_of, write_handmade
from lively import lively_segmentation
from lunart import _core
from lunart.errors import UsageError
from lunart.export.nodule_settings import _halo
from lunart.phantom import generate
from lunart.result import Finding, Result
from numpy.typing import NDArray

SHAPE_COST = 40_000  # voxels that a network segments in the time that another shape costs
Boxes = list[tuple[int, int, int, int, int]]  # index, row, col, rows, cols
Cells = NDArray[np.uint8]

NEAR, FAR = 60, 130  # voxels between two lungs: too few, and enough, for a box each


def _two_lungs(gap: int, slices: int = 8, rows: int = 200, cols: int = 420) -> NDArray[np.bool_]:
    """Two ellipses ``gap`` voxels apart, in cells of one voxel."""
    r, c = np.ogrid[:rows, :cols]
    side = np.abs(c - cols // 2) - gap / 2 - 40
    slice_ = ((r - rows // 2) / 60) ** 2 + (side / 40) ** 2 < 1
    return np.repeat(slice_[None], slices, 0)


def _random_cells(seed: int) -> tuple[Cells, tuple[int, int, int], tuple[int, int, int]]:
    """Some rectangles in a scan of any size, in cells of any size."""
    random = np.random.default_rng(seed)
    block = tuple(int(b) for b in random.integers(1, 6, 3))
    shape = (int(random.integers(1, 9)), *(int(n) for n in random.integers(30, 500, 2)))
    grid = tuple(-(-n // b) for n, b in zip(shape, block, strict=True))
    cells = np.zeros(grid, np.uint8)
    for _ in range(int(random.integers(0, 6))):
        corner = [int(random.integers(0, n)) for n in grid]
        size = [1 + int(random.integers(0, max(1, n // 3))) for n in grid]
        cells[tuple(slice(at, at + n) for at, n in zip(corner, size, strict=True))] = 1
    return cells, shape, block


def _by_slice(boxes: Boxes) -> dict[int, Boxes]:
    assert [box[0] for box in boxes] == sorted(box[0] for box in boxes)
    return {index: list(group) for index, group in groupby(boxes, key=lambda box: box[0])}


def _cost(boxes: Boxes) -> int:
    shapes = Counter(box[3:] for box in boxes)
    return sum(rows * cols for *_, rows, cols in boxes) + SHAPE_COST * len(shapes)


def _single_boxes(region: NDArray[np.bool_], halo: int = 24) -> Boxes:
    """A box a slice, as simply as it can be said."""
    boxes: Boxes = []
    for index in np.flatnonzero(region.any(axis=(1, 2))):
        sides = []
        for axis in (1, 0):
            inside = np.flatnonzero(region[index].any(axis=axis))
            n = region.shape[2 - axis]
            begin = max(0, int(inside[0]) - halo) // 4 * 4
            sides.append(
                (begin, min(n + -n % 4, -(-(int(inside[-1]) + 1 + halo) // 4) * 4) - begin)
            )
        (row, rows), (col, cols) = sides
        boxes.append((int(index), row, col, rows, cols))
    return boxes


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"scan_irc": (0, 4, 4)}, {"block_irc": (1, 0, 1)}, {"multiple_of": 0}, {"halo": -1}],
    ids=str,
)
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    sizes: dict[str, object] = {"scan_irc": (4, 4, 4), "block_irc": (1, 1, 1), **wrong}
    with pytest.raises(UsageError):
        _core.boxes_around(np.zeros((4, 4, 4), np.uint8), **sizes)  # type: ignore[arg-type]


# --- where boxes lie -----------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(30))
def test_a_box_holds_all_that_the_region_depends_on(seed: int, depth: int) -> None:
    cells, shape, block = _random_cells(seed)
    multiple = 2 ** (depth - 1)
    region = np.kron(cells, np.ones(block, np.uint8))[tuple(slice(n) for n in shape)].astype(bool)
    boxes = _core.boxes_around(cells, shape, block, multiple_of=multiple, halo=_halo(depth))
    by_slice = _by_slice(boxes)
    assert sorted(by_slice) == np.flatnonzero(region.any(axis=(1, 2))).tolist()
    whole = [n + -n % multiple for n in shape[1:]]
    for index, of_slice in by_slice.items():
        exact = np.zeros(shape[1:], bool)
        for _, row, col, rows, cols in of_slice:
            assert row >= 0
            assert col >= 0
            assert all(v % multiple == 0 for v in (row, col, rows, cols))
            assert row + rows <= whole[0]
            assert col + cols <= whole[1]
            sides = [
                [
                    max(0, first) >= begin and min(n - 1, last) < begin + size
                    for first, last in (oracles.seen_by(pixel, depth) for pixel in range(n))
                ]
                for begin, size, n in ((row, rows, whole[0]), (col, cols, whole[1]))
            ]
            exact |= np.outer(*map(np.array, sides))[: shape[1], : shape[2]]
        assert exact[region[index]].all()


def test_the_books_halo_is_24() -> None:
    assert _halo(3) == 24


def test_without_a_halo_boxes_still_hold_the_region() -> None:
    cells = np.zeros((1, 40, 40), np.uint8)
    cells[0, 18, 27] = 1
    assert _core.boxes_around(cells, (1, 40, 40), (1, 1, 1), halo=0) == [(0, 16, 24, 4, 4)]


def test_nothing_is_segmented_where_there_is_no_region() -> None:
    cells = np.zeros((9, 50, 50), np.uint8)
    assert _core.boxes_around(cells, (9, 50, 50), (1, 1, 1)) == []


# --- what boxes cost -----------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "boxes"), [(NEAR, 1), (FAR, 2)])
def test_lungs_far_apart_have_a_box_each(gap: int, boxes: int) -> None:
    region = _two_lungs(gap)
    placed = _core.boxes_around(region.astype(np.uint8), region.shape, (1, 1, 1))
    assert {len(of_slice) for of_slice in _by_slice(placed).values()} == {boxes}


@pytest.mark.parametrize("slices", [11, 100])
def test_few_shapes_are_used_and_fewer_in_a_slab(slices: int) -> None:
    region = np.zeros((slices, 256, 256), np.uint8)
    for index in range(slices):  # growing by two voxels a slice on each axis
        region[index, 20 : 40 + 2 * index, 20 : 30 + 2 * index] = 1
    placed = _core.boxes_around(region, region.shape, (1, 1, 1))
    shapes = {box[3:] for box in placed}
    assert len(placed) == slices
    assert len(shapes) <= slices / 5


@pytest.mark.parametrize("seed", range(60))
def test_boxes_cost_no_more_than_one_a_slice(seed: int) -> None:
    cells, shape, block = _random_cells(seed)
    region = np.kron(cells, np.ones(block, np.uint8))[tuple(slice(n) for n in shape)].astype(bool)
    placed = _core.boxes_around(cells, shape, block)
    assert _cost(placed) <= _cost(_single_boxes(region))


def test_boxes_of_a_real_scan_cost_less_than_one_a_slice(shared_data: Path) -> None:
    for name in ("179049", "619372", "170706", "487745"):
        (path,) = (shared_data / "luna16" / "subset0").glob(f"*.{name}*.mhd")
        scan = _core.oriented(_core.read_scan(str(path)))
        region = _core.lung_region(scan, 2).astype(bool)
        block = [max(1, round(2 / mm)) for mm in scan.spacing_mm[::-1]]
        cells = region[:: block[0], :: block[1], :: block[2]].astype(np.uint8)
        placed = _core.boxes_around(cells, region.shape, block)
        simple = _single_boxes(region)
        costs = _cost(placed) / region.size, _cost(simple) / region.size
        print(f"{name}: {costs[0]:.3f} of the scan's voxels, {costs[1]:.3f} with one a slice")
        assert costs[0] < 0.96 * costs[1]


# --- putting the boxes of a slice together -------------------------------------------------------


def _scan_with_two_lungs() -> _core.Scan:
    """Lungs far apart in a body, 0.7 mm and slices of 2 mm."""
    hu = np.full((8, 200, 420), 40, np.int16)
    hu[_two_lungs(FAR)] = -850
    return scan_of(hu, (0.7, 0.7, 2.0))


def _depth_in(call: FloatArray) -> NDArray[np.int64]:
    """How many voxels lie between each voxel of a box and its nearest edge."""
    rows, cols = (np.minimum(np.arange(n), n - 1 - np.arange(n)) for n in call.shape[2:])
    return np.minimum(rows[:, None], cols[None])


@pytest.fixture(scope="module")
def bundle_without_erosion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("boxes") / "b", erosion=0)


def _run(bundle: Path, network: object, scan: _core.Scan) -> Result:
    return found(runner(bundle, {"segmentation": network}, region="lungs"), scan)


def test_a_voxel_in_two_boxes_is_taken_from_the_one_that_knows_it(
    bundle_without_erosion: Path,
) -> None:
    """The region's voxels lie 22 voxels deep at least, where a box answers as the whole slice."""
    shapes: list[tuple[int, ...]] = []

    def sure_inside(batch: FloatArray) -> list[FloatArray]:
        shapes.append(batch.shape)
        return [(_depth_in(batch) >= 22).astype(np.float32)[None, None]]

    def sure_at_edges(batch: FloatArray) -> list[FloatArray]:
        return [(_depth_in(batch) < 22).astype(np.float32)[None, None]]

    scan = _scan_with_two_lungs()
    inside = _run(bundle_without_erosion, sure_inside, scan)
    edges = _run(bundle_without_erosion, sure_at_edges, scan)
    region = inside.region.astype(bool)
    assert len(shapes) >= 2 * 8
    assert inside.threshold_mask[region].all()
    assert not edges.threshold_mask[region].any()
    assert np.any(edges.threshold_mask)


def test_boxes_that_touch_leave_no_seam(tmp_path: Path) -> None:
    """Everything is bright: one component, as wide as both boxes, eroded at its rim only."""
    calls: list[FloatArray] = []

    def everything(batch: FloatArray) -> list[FloatArray]:
        calls.append(batch)
        return [np.ones((1, 1, *batch.shape[2:]), np.float32)]

    region = _two_lungs(FAR - 40)
    hu = np.full(region.shape, 40, np.int16)
    hu[region] = -850
    hu[:, 60:140, 190:230] = -850  # a bridge
    bundle = write_handmade(tmp_path / "b", erosion=1)
    result = _run(bundle, everything, scan_of(hu, (0.7, 0.7, 2.0)))
    union = np.asarray(result.threshold_mask) != 0
    assert union[result.region.astype(bool)].all()
    eroded = oracles.eroded(union, 1)
    assert sum(c.voxels for c in result.candidates or ()) == eroded.sum()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_progress_counts_slices_and_no_boxes(threads: int, bundle_without_erosion: Path) -> None:
    steps: list[tuple[int, int]] = []
    core = _core.Runner(
        bundle=str(bundle_without_erosion),
        engine="handmade",
        threads=threads,
        region="lungs",
        threshold=None,
        networks={
            "segmentation": lambda batch: [np.zeros((1, 1, *batch.shape[2:]), np.float32)],
            "classification": lambda batch: [],
        },
        version="1",
        precision="f32",
    )

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "segment":
            steps.append((done, total))

    core.run_scan(_scan_with_two_lungs(), progress)
    assert list(dict.fromkeys(steps)) == [(done, 8) for done in range(9)]


# --- the same candidates as without boxes --------------------------------------------------------


def _missing(off: Result, lungs: Result) -> list[Finding]:
    """Candidates of whole slices in the region that boxes do not give equally."""
    region = lungs.region
    same = {tuple(np.rint(c.center_irc).astype(int)): c for c in lungs.candidates or ()}
    missing = []
    for candidate in off.candidates or ():
        place = tuple(np.rint(candidate.center_irc).astype(int))
        if region[place] == 0:
            continue
        near = min(
            same.values(),
            key=lambda c: max(abs(np.subtract(c.center_irc, candidate.center_irc))),
        )
        if (
            max(abs(np.subtract(near.center_irc, candidate.center_irc))) > 0.5
            or abs(near.probability - candidate.probability) > 1e-3
        ):
            missing.append(candidate)
    return missing


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(("erosion", "share"), [(0, 0.02), (1, 0.2), (2, 0.4)])
def test_boxes_give_the_candidates_of_whole_slices_on_a_phantom(
    erosion: int, share: float, tmp_path: Path
) -> None:
    """Of a network that calls many things, some of which reach far out of the region."""
    phantom = generate(3, shape_irc=(16, 250, 280), spacing_xyz_mm=(1.3, 1.3, 9.0))
    module = lively_segmentation(phantom.hu, share)

    def network(batch: FloatArray) -> list[FloatArray]:
        with torch.inference_mode():
            return [module(torch.from_numpy(batch)).numpy()]

    def by_mean(batch: FloatArray) -> list[FloatArray]:
        mean = batch.mean(axis=(1, 2, 3, 4)) / 2000 + 0.5
        both = np.stack([1 - mean, mean], 1).astype(np.float32)
        return [both, both]

    networks = {"segmentation": network, "classification": by_mean}
    bundle = write_handmade(tmp_path / "b", erosion=erosion)
    scan = scan_of(phantom.hu, phantom.spacing_mm)
    off = found(runner(bundle, networks), scan)
    lungs = found(runner(bundle, networks, region="lungs"), scan)
    print(f"{lungs.candidate_count} of {off.candidate_count} candidates")
    assert _missing(off, lungs) == []
    assert 5 < lungs.candidate_count < off.candidate_count


def _found_by_bundle(bundle: Path, scan: _core.Scan, region: str) -> Result:
    core = _core.Runner(
        bundle=str(bundle),
        engine="torchscript-trace",
        threads=2,
        region=region,
        threshold=None,
        networks=None,
        version="",
        precision="f32",
    )
    return found(core, scan)


@pytest.mark.parametrize("name", ["179049", "619372", "170706"])
def test_boxes_give_the_candidates_of_whole_slices_on_a_real_slab(
    name: str, bundle: Path, shared_data: Path
) -> None:
    (path,) = (shared_data / "luna16" / "subset0").glob(f"*.{name}*.mhd")
    scan = _core.read_scan(str(path))
    off, lungs = (_found_by_bundle(bundle, scan, region) for region in ("off", "lungs"))
    assert _missing(off, lungs) == []
    assert lungs.candidate_count > 0


def test_a_box_for_each_lung_gives_the_candidates_of_whole_slices(
    bundle: Path, shared_data: Path
) -> None:
    """Slices of a chest with fine pixels, where a cut between the lungs saves area."""
    image = sitk.ReadImage(str(shared_data / "backgrounds" / "TCIA_9328.50.1.0117.mhd"))
    hu = sitk.GetArrayFromImage(image)[:24]
    scan = scan_of(hu, image.GetSpacing())
    boxes = _core.segmented_boxes(scan, str(bundle), True)
    assert max(len(of_slice) for of_slice in _by_slice(boxes).values()) > 1
    off, lungs = (_found_by_bundle(bundle, scan, region) for region in ("off", "lungs"))
    assert _missing(off, lungs) == []
    assert lungs.candidate_count > 0
