"""Voxels to millimetres and back, with SimpleITK as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from lunart import _core
from lunart.errors import ScanError

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape_irc": (0, 4, 5)}, r"shape \(index, row, col\) = \(0, 4, 5\): every axis"),
        ({"shape_irc": (3, -4, 5)}, r"\(3, -4, 5\): every axis"),
        ({"shape_irc": (2**40, 1, 1)}, "no CT scan"),
        ({"shape_irc": (2**31 - 1,) * 3}, "no CT scan"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, r"spacing \(x, y, z\) = \(0, 1, 1\) mm"),
        ({"spacing_mm": (1.0, -0.5, 1.0)}, r"\(1, -0\.5, 1\) mm"),
        ({"spacing_mm": (1.0, 1.0, np.nan)}, r"\(1, 1, nan\) mm"),
        ({"spacing_mm": (1.0, 1.0, np.inf)}, r"\(1, 1, inf\) mm"),
        ({"origin_mm": (0.0, np.inf, 0.0)}, r"origin \(x, y, z\) = \(0, inf, 0\) mm"),
        ({"direction": (1, 0, 0, 0, 1, 0, 1, 0, 0)}, r"direction \(1, 0, 0, .* is singular"),
        ({"direction": (1e-2, 0, 0, 0, 1e-1, 0, 0, 0, 1e-1)}, "is singular"),
        ({"direction": (np.nan, *IDENTITY[1:])}, "not finite"),
        ({"direction": (np.inf, *IDENTITY[1:])}, "not finite"),
    ],
)
def test_an_absurd_geometry_is_refused_with_its_value(
    changed: dict[str, tuple[float, ...]], message: str
) -> None:
    plain = {"shape_irc": (3, 4, 5), "spacing_mm": (1.0, 1.0, 1.0)}
    with pytest.raises(ScanError, match=message):
        _core.Geometry(**{**plain, **changed})


def random_geometry(rng: np.random.Generator, skew: float) -> tuple[_core.Geometry, sitk.Image]:
    """The same oblique geometry twice; ``skew`` moves the axes away from right angles."""
    direction = np.linalg.qr(rng.normal(size=(3, 3)))[0] + skew * rng.uniform(-1, 1, (3, 3))
    spacing, origin = rng.uniform(0.3, 5, 3), rng.uniform(-500, 500, 3)
    image = sitk.Image((5, 4, 3), sitk.sitkInt16)
    image.SetSpacing(tuple(spacing))
    image.SetOrigin(tuple(origin))
    image.SetDirection(tuple(direction.ravel()))
    geometry = _core.Geometry(
        shape_irc=(3, 4, 5),
        spacing_mm=tuple(spacing),
        origin_mm=tuple(origin),
        direction=tuple(direction.ravel()),
    )
    return geometry, image


@pytest.mark.parametrize("skew", [0.0, 0.02])
def test_places_agree_with_simpleitk_and_come_back(skew: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        geometry, image = random_geometry(rng, skew)
        assert geometry.direction == image.GetDirection()
        irc = rng.uniform(-100, 600, 3)
        xyz = geometry.to_xyz(irc)
        expected = image.TransformContinuousIndexToPhysicalPoint(irc[::-1].tolist())
        np.testing.assert_allclose(xyz, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(geometry.to_irc(xyz), irc, rtol=0, atol=1e-9)
        index = image.TransformPhysicalPointToContinuousIndex(xyz)
        np.testing.assert_allclose(geometry.to_irc(xyz), index[::-1], rtol=0, atol=1e-9)


def test_the_inverse_of_a_direction_that_is_not_symmetric() -> None:
    # A turn by 90 degrees about z: its transpose, taken for its inverse twice, would turn it back.
    geometry = _core.Geometry(
        shape_irc=(3, 4, 5),
        spacing_mm=(0.5, 2.0, 3.0),
        origin_mm=(10, 20, 30),
        direction=(0, -1, 0, 1, 0, 0, 0, 0, 1),
    )
    assert geometry.to_xyz((1, 2, 3)) == (10 - 2 * 2.0, 20 + 3 * 0.5, 30 + 1 * 3.0)
    assert geometry.to_irc((6, 21.5, 33)) == (1, 2, 3)


def test_a_plain_geometry_is_exact() -> None:
    geometry = _core.Geometry(
        shape_irc=(3, 4, 5), spacing_mm=(0.703125, 0.703125, 2.5), origin_mm=(-166, -171.75, -132.5)
    )
    assert geometry.shape_irc == (3, 4, 5)
    assert geometry.direction == IDENTITY
    assert geometry.voxel_mm3 == 0.703125 * 0.703125 * 2.5
    assert geometry.to_xyz((0, 0, 0)) == (-166, -171.75, -132.5)
    assert geometry.to_irc((-166, -171.75, -132.5)) == (0, 0, 0)
