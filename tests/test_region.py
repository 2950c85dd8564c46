"""The lung region: against its oracle, on lungs of every kind, and on none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracles
import pytest
import SimpleITK as sitk  # noqa: N813
from handmade import FloatArray, bright, found, recording, runner, scan_of, write_handmade
from lunart import _core
from lunart.phantom import Phantom, generate
from scipy import ndimage


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("region") / "b")


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(5, shape_irc=(36, 120, 128))


def _agrees(hu: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    region = _core.lung_region(scan_of(hu, spacing)).astype(bool)
    expected = oracles.lung_region(hu, spacing)
    # A cell may lie at exactly the closing's or the margin's distance, where float decides.
    assert np.mean(region != expected) < 1e-3
    return region


def _body(shape: tuple[int, int, int] = (20, 80, 100)) -> np.ndarray:
    """An ellipse of tissue in air, voxels of 3 mm, with two ellipses of lung."""
    hu = np.full(shape, -1000, np.int16)
    _, rows, cols = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    hu[np.broadcast_to((rows / 0.85) ** 2 + (cols / 0.9) ** 2 < 1, shape)] = 40
    for side in (-0.42, 0.42):
        lung = (rows / 0.6) ** 2 + ((cols - side) / 0.33) ** 2 < 1
        hu[np.broadcast_to(lung, shape)] = -850
    return hu


SPACING = (3.0, 3.0, 3.0)


# --- no lungs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hu",
    [
        np.full((12, 40, 40), 40, np.int16),
        np.full((12, 40, 40), -1000, np.int16),
        np.where(np.indices((12, 40, 40)).sum(0) % 2, -1000, -3024).astype(np.int16),
        np.full((1, 1, 1), 40, np.int16),
    ],
    ids=["tissue", "air", "padding", "one-voxel"],
)
def test_a_scan_without_lungs_has_no_nodules_and_says_so(hu: np.ndarray, bundle: Path) -> None:
    calls: list[FloatArray] = []
    core = runner(bundle, {"segmentation": recording(bright(0), calls)}, region="lungs")
    result = found(core, scan_of(hu))
    assert (result.nodules, result.candidate_count, calls) == ((), 0, [])
    assert "no-lungs" in [warning.code for warning in result.warnings]
    assert not result.region.any()
    assert not _agrees(hu, (1.0, 1.0, 1.0)).any()


def test_bowel_gas_is_no_lung() -> None:
    hu = np.full((12, 60, 60), 40, np.int16)
    hu[5:8, 20:24, 20:24] = -900  # 48 voxels of 27 mm3: 1.3 ml
    assert not _agrees(hu, SPACING).any()


# --- lungs ---------------------------------------------------------------------------------------


def test_lungs_are_found_and_the_air_about_the_body_is_not() -> None:
    hu = _body()
    region = _agrees(hu, SPACING)
    assert region[hu == -850].all()
    assert region[hu == -1000].mean() < 0.02
    # No more than the margin of 6 mm, a closing of 15 mm and the cells' width beyond the lungs.
    assert ndimage.distance_transform_edt(hu != -850, SPACING)[region].max() < 15 + 3


def test_lungs_that_touch_every_border_are_kept() -> None:
    hu = _body()[:, 20:60, 15:85]
    lungs = hu == -850
    assert lungs[0].any()
    assert lungs[:, 0].any()
    assert lungs[:, :, 0].any()
    assert lungs[:, :, -1].any()
    assert _agrees(hu, SPACING)[lungs].all()


def test_lungs_cut_by_a_round_field_of_view_are_kept() -> None:
    """Scanners pad with -2000 or -3024 outside the field of view, which may cut a lung open."""
    hu = _body()
    rows, cols = np.indices(hu.shape[1:])
    whole = np.hypot((rows - 39.5) / 24, np.minimum(abs(cols - 28.7), abs(cols - 70.3)) / 16)
    # Lungs that taper, so that only the slices in the middle are cut.
    for index, size in enumerate(np.sin(np.linspace(0.3, np.pi - 0.3, len(hu)))):
        hu[index][(hu[index] == -850) & (whole > size)] = 40
    before = int(np.sum(hu == -850))
    hu[:, np.hypot(rows - 39.5, cols - 49.5) > 34] = -3024
    lungs = hu == -850
    assert lungs.sum() < before
    assert _agrees(hu, SPACING)[lungs].mean() > 0.97


def test_vessels_and_a_mass_inside_a_lung_belong_to_it() -> None:
    hu = _body()
    hu[8:12, 36:44, 25:33] = 50
    assert _agrees(hu, SPACING)[8:12, 36:44, 25:33].all()


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 5.0), (1.9, 2.4, 0.6), (4.0, 4.0, 4.0)])
def test_every_spacing_agrees_with_the_oracle(spacing: tuple[float, ...], phantom: Phantom) -> None:
    assert _agrees(phantom.hu, spacing).any()


@pytest.mark.parametrize("cols", [1, 5, 63, 64, 65, 127, 128, 129])
def test_grids_of_any_width_agree_with_the_oracle(cols: int) -> None:
    """Cells are kept 64 to a word."""
    _agrees(_body((9, 70, cols)), (2.0, 2.5, 3.0))
    hu = np.full((7, 33, cols), 40, np.int16)
    hu[1:-1, 4:-4, 1 : max(2, cols - 1)] = -850
    _agrees(hu, SPACING)


@pytest.mark.parametrize("seed", range(8))
def test_any_mixture_of_air_and_tissue_agrees_with_the_oracle(seed: int) -> None:
    """Holes in holes, parts of every size, air at the rim: no anatomy."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=(12, 60, 90)), 1.5 + 0.3 * seed)
    hu = (-600 + 900 * smooth / smooth.std()).clip(-1024, 100).astype(np.int16)
    _agrees(hu, (1.5, 2.0, 2.5))


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_the_region_is_the_same_for_every_number_of_threads(threads: int, phantom: Phantom) -> None:
    scan = scan_of(phantom.hu, phantom.spacing_mm)
    one, many = _core.lung_region(scan, 1), _core.lung_region(scan, threads)
    np.testing.assert_array_equal(one, many)


def test_float_scans_agree_with_the_oracle(phantom: Phantom) -> None:
    region = _agrees(phantom.hu + np.float32(0.25), phantom.spacing_mm)
    assert region.any()


def test_every_nodule_of_a_phantom_lies_in_its_region() -> None:
    for seed in range(5):
        # The last one has a mass of 25 mm on the chest wall.
        shape = (56, 160, 160) if seed == 4 else (48, 128, 128)
        phantom = generate(seed, shape_irc=shape, nodule_count=8)
        region = _agrees(phantom.hu, phantom.spacing_mm)
        for nodule in phantom.nodules:
            place = tuple(round(v) for v in nodule.center_irc)
            assert region[place], (seed, nodule)


MARK = 51


def _marked(batch: FloatArray) -> list[FloatArray]:
    return [(batch[:, 3:4] == MARK).astype(np.float32)]


def test_a_juxta_pleural_nodule_is_kept(bundle: Path) -> None:
    """On the wall it touches no air on one side; neither the region nor the box may lose it."""
    kept = 0
    for seed in range(6):
        phantom = generate(seed, shape_irc=(56, 160, 160), nodule_count=8)
        for number, nodule in enumerate(phantom.nodules, start=1):
            # The middle of a mass may be farther from lung than the closing reaches.
            if nodule.kind != "juxta-pleural" or nodule.diameter_mm > 20:
                continue
            # Marked by a value of soft tissue that nothing else has.
            hu = np.where(phantom.hu == MARK, MARK + 1, phantom.hu).astype(np.int16)
            hu[phantom.labels == number] = MARK
            networks = {"segmentation": _marked}
            scan = scan_of(hu, phantom.spacing_mm)
            erosion_free = write_handmade(bundle.parent / f"{seed}-{number}", erosion=0)
            result = found(runner(erosion_free, networks, region="lungs"), scan)
            whole = found(runner(erosion_free, networks, region="off"), scan)
            near = [c for c in whole.nodules if result.mask[whole.mask == c.label].any()]
            volume = sum(c.volume_mm3 for c in near)
            assert volume >= 0.99 * np.sum(phantom.labels == number) * scan.geometry.voxel_mm3
            kept += 1
    assert kept >= 4


def test_a_component_stays_when_its_centre_is_inside_and_is_never_clipped(bundle: Path) -> None:
    hu = _body()
    hu[9:12, 38:41, 20:60] = 999  # from the one lung through the mediastinum to the other
    hu[9:12, 2:6, 45:55] = 999  # before the chest
    core = runner(bundle, region="lungs", networks={"segmentation": bright(998.0)})
    result = found(core, scan_of(hu, SPACING))
    region = result.region.astype(bool)
    for candidate in result.candidates or ():
        place = tuple(int(np.rint(v)) for v in candidate.center_irc)
        assert region[place]
    whole = found(runner(bundle, {"segmentation": bright(998.0)}), scan_of(hu, SPACING))
    assert whole.candidate_count > result.candidate_count
    for candidate in result.candidates or ():
        (same,) = [c for c in whole.candidates or () if c.center_irc == candidate.center_irc]
        assert same.volume_mm3 == candidate.volume_mm3


def test_off_is_everywhere(phantom: Phantom, bundle: Path) -> None:
    result = found(runner(bundle, region="off"), scan_of(phantom.hu, phantom.spacing_mm))
    assert result.region.all()
    assert result.warnings == ()


@pytest.mark.parametrize("slab", ["179049", "619372", "170706"])
def test_lungs_of_a_real_slab_are_covered(slab: str, shared_data: Path) -> None:
    (path,) = (shared_data / "luna16" / "subset0").glob(f"*.{slab}*.mhd")
    scan = _core.read_scan(str(path))
    region = _core.lung_region(_core.oriented(scan)).astype(bool)
    hu = _core.oriented(scan).hu
    expected = oracles.lung_region(hu, scan.spacing_mm)
    assert np.mean(region != expected) < 1e-3
    votes = sitk.GetArrayFromImage(
        sitk.ReadImage(str(shared_data / "luna16" / "votes" / f"{path.stem}_votes.mhd"))
    )
    assert np.any(votes)
    assert region[votes > 0].mean() > 0.99
    # The two largest parts of lung's density; the foam of the table is smaller.
    tissue = ndimage.binary_opening((hu > -950) & (hu < -600), iterations=2)
    labels, _ = ndimage.label(tissue)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lungs = np.isin(labels, np.flatnonzero(sizes > 0.5 * sizes.max()))
    assert region[lungs].mean() > 0.99
    assert region.mean() < 0.6
