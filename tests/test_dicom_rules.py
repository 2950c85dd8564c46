"""The rules of DICOM series, in C++, on records: no DICOM library is needed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from lunart import _core
from lunart.errors import LunartError, ScanError, UsageError

TAGS = {
    "image_type": 0x00080008,
    "sop_class": 0x00080016,
    "sop": 0x00080018,
    "modality": 0x00080060,
    "description": 0x0008103E,
    "thickness": 0x00180050,
    "tilt": 0x00181120,
    "kernel": 0x00181210,
    "series": 0x0020000E,
    "acquisition": 0x00200012,
    "number": 0x00200013,
    "position": 0x00200032,
    "orientation": 0x00200037,
    "samples": 0x00280002,
    "photometric": 0x00280004,
    "frames": 0x00280008,
    "rows": 0x00280010,
    "cols": 0x00280011,
    "spacing": 0x00280030,
    "intercept": 0x00281052,
    "slope": 0x00281053,
    "rescale_type": 0x00281054,
    "lut": 0x00283000,
}


def ct(z: float, **changed: object) -> _core.DicomInstance:
    """An axial slice of 2 x 3 pixels; None takes a tag away."""
    said: dict[str, object] = {
        "image_type": "ORIGINAL\\PRIMARY\\AXIAL",
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
        "sop": f"1.2.3.{z}",
        "modality": "CT",
        "series": "1.2.3",
        "number": str(int(z)),
        "position": f"-10\\-20\\{z}",
        "orientation": "1\\0\\0\\0\\1\\0",
        "rows": "2",
        "cols": "3",
        "spacing": "0.5\\0.25 ",
        "slope": "1",
        "intercept": "-1024",
        **changed,
    }
    tags = {TAGS[name]: str(value) for name, value in said.items() if value is not None}
    return _core.DicomInstance(file=str(said.get("file", f"IM{z}")), tags=tags)


# `file` is no tag.
TAGS["file"] = 0x7FFF0001


def plan(instances: Sequence[_core.DicomInstance], **how: Any) -> _core.DicomPlan:
    return _core.dicom_plan(instances, source="here", **how)


def order(made: _core.DicomPlan) -> list[int]:
    return [s.instance for s in made.slices]


def codes(made: _core.DicomPlan) -> list[str]:
    return [code for code, _ in made.warnings]


def refused(instances: Sequence[_core.DicomInstance], **how: Any) -> str:
    with pytest.raises(ScanError) as caught:
        plan(instances, **how)
    return str(caught.value)


def stack(*places: float, **changed: object) -> list[_core.DicomInstance]:
    return [ct(z, **changed) for z in places]


def test_slices_are_ordered_along_the_normal_whatever_their_numbers_and_names_say() -> None:
    made = plan([ct(5, number=1), ct(0, number=3), ct(2.5, number=2)])

    assert order(made) == [1, 2, 0]
    assert made.geometry.shape_irc == (3, 2, 3)
    assert made.geometry.spacing_mm == (0.25, 0.5, 2.5)
    assert made.geometry.origin_mm == (-10, -20, 0)
    assert made.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert made.warnings == []
    assert not made.is_resampled


def test_a_feet_first_stack_of_falling_normal_begins_at_the_other_end() -> None:
    made = plan(stack(0, 2.5, 5, orientation="-1\\0\\0\\0\\1\\0"))

    assert order(made) == [2, 1, 0]
    assert made.geometry.origin_mm == (-10, -20, 5)
    assert made.geometry.direction[8] == -1


def test_positions_that_are_written_with_few_decimals_are_even() -> None:
    made = plan(stack(*[round(0.625 * k, 2) for k in range(40)]))

    assert made.geometry.spacing_mm[2] == pytest.approx(0.625, abs=1e-3)
    assert codes(made) == []


def test_slices_a_little_beside_an_even_step_are_taken_with_a_word() -> None:
    assert codes(plan(stack(0, 2.5, 5.1, 7.5, 10))) == ["dicom-spacing"]


def test_missing_slices_are_refused_with_their_places_and_the_way_out() -> None:
    text = refused(stack(0, 2.5, 5, 12.5, 15, 17.5))

    assert "2 slices are missing (usual step 2.5 mm)" in text
    assert "z = 5 mm (IM5) and z = 12.5 mm (IM12.5)" in text
    assert 'on_gap="fill"' in text
    assert "--on-gap fill" in text


def test_missing_slices_are_interpolated_when_asked_for() -> None:
    made = plan(stack(0, 2.5, 5, 12.5, 15), on_gap="fill")

    assert made.is_resampled
    assert made.geometry.shape_irc[0] == 7
    assert made.geometry.spacing_mm[2] == 2.5
    assert made.volume == [
        (0, 0, 0), (1, 1, 0), (2, 2, 0), (2, 3, pytest.approx(1 / 3)),
        (2, 3, pytest.approx(2 / 3)), (3, 3, 0), (4, 4, 0),
    ]  # fmt: skip
    assert codes(made) == ["dicom-gap-filled"]


def test_every_other_slice_missing_at_one_end_is_seen() -> None:
    assert "are missing" in refused(stack(0, 1, 2, 4, 6, 8))


def test_more_than_was_measured_is_never_made_up() -> None:
    assert "too many to fill" in refused(stack(0, 1, 100), on_gap="fill")


def test_uneven_spacing_is_refused_and_resampled_when_asked_for() -> None:
    places = [0, 1.25, 2.5, 3.75, 5.5, 7.3, 9.1]

    assert "spaced unevenly" in refused(stack(*places))
    made = plan(stack(*places), on_gap="fill")
    assert codes(made) == ["dicom-resampled"]
    assert made.geometry.spacing_mm[2] == pytest.approx(9.1 / (made.geometry.shape_irc[0] - 1))
    assert made.volume[0] == (0, 0, 0)
    assert made.volume[-1] == (6, 6, 0)
    for k, (lower, upper, weight) in enumerate(made.volume):
        t = places[lower] * (1 - weight) + places[upper] * weight
        assert t == pytest.approx(k * made.geometry.spacing_mm[2], abs=0.08)


def test_a_tilted_gantry_is_refused_and_straightened_when_asked_for() -> None:
    series = [ct(2.0 * k, position=f"0\\{0.5 * k}\\{2.0 * k}") for k in range(10)]

    assert "tilted by 14.04 degrees" in refused(series)
    made = plan(series, on_tilt="resample")
    assert made.is_resampled
    assert codes(made) == ["dicom-tilt-resampled"]
    assert made.geometry.shape_irc == (10, 2 + 9, 3)
    assert made.geometry.spacing_mm[2] == 2
    assert made.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_a_tilt_that_only_the_tag_knows_is_a_word() -> None:
    assert codes(plan(stack(0, 2.5, 5, tilt="10"))) == ["dicom-tilt"]


def test_localizers_and_screen_pictures_are_left_out_and_counted() -> None:
    extra = [
        ct(100, image_type="ORIGINAL\\PRIMARY\\LOCALIZER", rows=512),
        ct(101, sop_class="1.2.840.10008.5.1.4.1.1.7", position=None),
        ct(102, position=None),
        ct(103, samples=3),
    ]
    made = plan([*stack(0, 2.5, 5), *extra])

    assert len(made.slices) == 3
    assert codes(made) == ["dicom-left-out"]
    assert "1 (localizer)" in made.warnings[0][1]


def test_a_scout_without_the_name_does_not_stop_a_whole_stack() -> None:
    scout = ct(50, orientation="1\\0\\0\\0\\0\\-1", rows=300)
    made = plan([*stack(*range(12)), scout])

    assert len(made.slices) == 12
    assert codes(made) == ["dicom-left-out"]


def test_several_series_are_listed_and_one_is_chosen() -> None:
    both = [
        *stack(0, 1, 2, description="Lung <b>"),
        *stack(0, 5, series="1.2.4", description="Soft"),
    ]
    text = refused(both)

    assert "holds 2 series" in text
    assert "1.2.3: 3 slices, 3 x 2, 0.25 x 0.5 x 1 mm, 'Lung <b>'" in text
    assert "1.2.4: 2 slices, 3 x 2, 0.25 x 0.5 x 5 mm, 'Soft'" in text
    assert plan(both, series="1.2.4").series_uid == "1.2.4"
    with pytest.raises(UsageError, match=r"no series '1\.2\.5'; it holds"):
        plan(both, series="1.2.5")


def test_a_series_of_another_modality_is_refused_by_name_and_never_in_the_way() -> None:
    pet = stack(0, 1, modality="PT", series="1.2.9")

    assert "modality 'PT', not CT" in refused(pet)
    assert plan([*pet, *stack(0, 1)]).series_uid == "1.2.3"
    with pytest.raises(ScanError, match="cannot be read"):
        plan([*pet, *stack(0, 1)], series="1.2.9")


@pytest.mark.parametrize(
    "what",
    [{"acquisition": 2}, {"kernel": "B70f"}],
)
def test_two_phases_in_one_series_are_two_stacks(what: dict[str, object]) -> None:
    first = dict.fromkeys(what, 1)
    both = [*stack(0, 1, 2, **first), *(ct(z, sop=f"9.{z}", **what) for z in (0, 1, 2, 3))]
    text = refused(both)

    assert "1.2.3#1: 4 slices" in text
    assert "1.2.3#2: 3 slices" in text
    assert next(iter(what)) in text
    assert order(plan(both, series="1.2.3#2")) == [0, 1, 2]


def test_acquisitions_that_follow_one_another_are_one_volume() -> None:
    assert len(plan([*stack(0, 1, acquisition=1), *stack(2, 3, acquisition=2)]).slices) == 4


def test_sizes_spacings_and_orientations_that_differ_are_stacks() -> None:
    others = [
        *stack(0, 1, 2, 3, spacing="1\\1"),
        *stack(0, 1, 2, orientation="1\\0\\0\\0\\0\\-1", position=None),
    ]
    found = _core.dicom_series([*stack(0, 1), *others[:4]])

    assert [(s.id, s.slices) for s in found] == [("1.2.3#1", 4), ("1.2.3#2", 2)]


def volume(made: _core.DicomPlan, planes: Sequence[np.ndarray]) -> _core.DicomVolume:
    out = _core.DicomVolume(made)
    for stored in made.slices:
        out.append(planes[stored.instance])
        for twin in stored.twins:
            out.compare(planes[twin.instance])
    return out


def test_a_slice_sent_twice_counts_once() -> None:
    series = [*stack(0, 1, 2), ct(1, file="again")]
    planes = [np.full((2, 3), k, np.uint16) for k in (0, 1, 2, 1)]
    scan = volume(plan(series), planes).finish()

    assert scan.hu[:, 0, 0].tolist() == [-1024, -1023, -1022]
    assert scan.warnings == [
        ("dicom-copies", "1 slice was there twice with the same voxels; once is taken: again "
         "(as IM1)")
    ]  # fmt: skip


def test_twins_are_compared_in_hounsfield_units() -> None:
    series = [*stack(0, 1, 2), ct(1, file="again", intercept="-1000")]
    planes = [np.full((2, 3), k, np.uint16) for k in (30, 30, 30, 6)]

    assert volume(plan(series), planes).finish().warnings[0][0] == "dicom-copies"


def test_different_slices_at_one_place_are_refused_or_the_first_is_taken() -> None:
    series = [*stack(0, 1, 2), ct(1, file="other", number=9)]
    planes = [np.full((2, 3), k, np.uint16) for k in (0, 1, 2, 7)]

    with pytest.raises(ScanError, match=r"two different slices at z = 1 mm: IM1 and other"):
        volume(plan(series), planes)
    scan = volume(plan(series, on_duplicate="first"), planes).finish()
    assert scan.hu[1, 0, 0] == -1023
    assert scan.warnings[0][0] == "dicom-duplicates"


def test_slope_and_intercept_are_each_slices_own_and_exact() -> None:
    series = [ct(0, slope="2", intercept="-1000"), ct(1, slope="1", intercept="5")]
    planes = [np.array([[1, 2, 3], [4, 5, 6]], np.int16)] * 2
    scan = volume(plan(series), planes).finish()

    assert scan.hu.dtype == np.int16
    assert scan.hu[0].tolist() == [[-998, -996, -994], [-992, -990, -988]]
    assert scan.hu[1].tolist() == [[6, 7, 8], [9, 10, 11]]


def test_fractions_make_floats_from_there_on_and_keep_what_was() -> None:
    series = [ct(0), ct(1, slope="0.5"), ct(2)]
    scan = volume(plan(series), [np.full((2, 3), 3, np.int32)] * 3).finish()

    assert scan.hu.dtype == np.float32
    assert scan.hu[:, 0, 0].tolist() == [-1021, -1022.5, -1021]


def test_interpolated_slices_lie_between_and_stay_whole() -> None:
    made = plan(stack(0, 1, 2, 5, 6), on_gap="fill")
    scan = volume(made, [np.full((2, 3), v, np.uint16) for v in (0, 0, 10, 110, 0)]).finish()

    assert scan.hu.dtype == np.int16
    assert (scan.hu[:, 1, 1] + 1024).tolist() == [0, 0, 10, 43, 77, 110, 0]


def test_a_tilted_cylinder_stands_straight_after_resampling() -> None:
    def tilted(k: int) -> _core.DicomInstance:
        position = f"{0.3 * k}\\{-0.7 * k}\\{2.0 * k}"
        return ct(2.0 * k, rows=20, cols=20, spacing="1\\1", position=position)

    made = plan([tilted(k) for k in range(6)], on_tilt="resample")
    rows, cols = np.mgrid[:20, :20]
    # In the patient each slice holds the same ramp: its value is what x and y are.
    planes = [
        (1000 + 10 * (cols + 0.3 * k) + 100 * (rows - 0.7 * k)).astype(np.uint16) for k in range(6)
    ]
    scan = volume(made, planes).finish()

    assert scan.shape_irc == (6, 24, 22)
    col, row = 10, 12
    x, y, _ = scan.geometry.to_xyz((0, row, col))
    expected = 1000 + 10 * x + 100 * y - 1024
    assert np.abs(scan.hu[:, row, col] - expected).max() <= 1.5
    assert scan.hu[5, -1, 0] == -1000  # nothing was measured there


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"position": "1\\2"}, "ImagePositionPatient"),
        ({"position": "1\\2\\nan"}, "ImagePositionPatient"),
        ({"position": "1\\2\\1e300"}, "ImagePositionPatient"),
        ({"position": None}, "no position"),
        ({"orientation": None}, "ImageOrientationPatient"),
        ({"orientation": "1\\0\\0\\1\\0\\0"}, "ImageOrientationPatient"),
        ({"orientation": "0\\0\\0\\0\\0\\0"}, "ImageOrientationPatient"),
        ({"spacing": None}, "PixelSpacing"),
        ({"spacing": "0\\1"}, "PixelSpacing"),
        ({"spacing": "-1\\1"}, "PixelSpacing"),
        ({"rows": "0"}, "Rows"),
        ({"rows": "-4"}, "Rows"),
        ({"cols": "4294967296"}, "Columns"),
        ({"slope": "0"}, "RescaleSlope"),
        ({"slope": "x\x1b[2J"}, r"\x1b"),
        ({"intercept": "inf"}, "RescaleIntercept"),
        ({"rescale_type": "Z_EFF"}, "Hounsfield"),
        ({"lut": "sequence"}, "ModalityLUT"),
        ({"frames": "40"}, "frames"),
        ({"modality": None}, "no modality"),
        ({"samples": "3"}, "colour"),
        ({"image_type": "DERIVED\\PRIMARY\\LOCALIZER"}, "localizer"),
    ],
)
def test_what_is_no_slice_of_a_volume_is_refused_by_its_name(
    changed: dict[str, object], said: str
) -> None:
    assert said in refused([ct(0, **changed), ct(1, **changed)])


def test_one_damaged_slice_stops_its_series() -> None:
    assert "1 damaged slice: IM1: PixelSpacing" in refused([ct(0), ct(1, spacing="a"), ct(2)])


def test_damaged_files_may_be_slices_and_are_refused_by_name() -> None:
    assert "1 damaged DICOM file" in refused(stack(0, 1), damaged=["'IM7': cut"])
    assert "'IM7': cut" in refused(stack(0, 1), damaged=["'IM7': cut"])


def test_nothing_at_all_is_refused() -> None:
    assert "no DICOM file" in refused([])


def test_values_without_a_rescale_are_taken_with_a_word() -> None:
    assert codes(plan(stack(0, 1, slope=None, intercept=None))) == ["dicom-rescale"]


def test_one_slice_without_a_rescale_among_others_is_refused() -> None:
    series = [ct(0), ct(1, slope=None, intercept=None), ct(2)]
    with pytest.raises(ScanError, match=r"1 slice without RescaleSlope .* the others have: IM1"):
        plan(series)


@pytest.mark.parametrize("colour", [{"samples": 3}, {"photometric": "PALETTE COLOR"}])
def test_a_colour_picture_is_no_slice(colour: dict[str, object]) -> None:
    assert codes(plan([*stack(0, 1, 2), ct(9, **colour)])) == ["dicom-left-out"]


@pytest.mark.parametrize("kind", ["HU", "hu ", "US"])
def test_hounsfield_units_by_any_of_their_names(kind: str) -> None:
    assert codes(plan(stack(0, 1, rescale_type=kind))) == []


def test_a_slice_without_a_place_is_named_where_it_may_be_the_missing_one() -> None:
    series = [*stack(0, 1, 2, 4, 5), ct(3, position=None)]
    with pytest.raises(ScanError, match=r"1 slice is missing.*no slice: 1 \(no position"):
        plan(series)


def test_one_slice_takes_its_thickness() -> None:
    made = plan([ct(0, thickness="3")])

    assert made.geometry.spacing_mm[2] == 3
    assert codes(made) == ["dicom-one-slice"]


def test_a_wrong_choice_is_named() -> None:
    with pytest.raises(UsageError, match="on_gap is 'mend'; expected refuse or fill"):
        plan(stack(0, 1), on_gap="mend")


def test_a_slice_of_another_size_than_its_tags_say_is_refused() -> None:
    out = _core.DicomVolume(plan(stack(0, 1)))

    with pytest.raises(ScanError, match="holds 7 pixels, not 3 x 2"):
        out.append(np.zeros(7, np.int16))


def test_more_or_fewer_slices_than_planned_are_a_defect_that_is_said() -> None:
    out = _core.DicomVolume(plan(stack(0, 1)))
    out.append(np.zeros((2, 3), np.int16))

    with pytest.raises(LunartError, match="fewer slices"):
        out.finish()


def test_thousands_of_slices_are_planned_in_no_time() -> None:
    series = stack(*range(5000))

    assert len(plan(series[::-1]).slices) == 5000
