"""The report as one HTML file: everything inside, no script, every text escaped.

The policy in the file's head allows pictures that are part of it and this one style sheet, and
nothing else: whatever got in would not run and could not load.
"""

from __future__ import annotations

import base64
import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lunart import _core
from lunart.report.contents import MOST_PICTURES, Contents, Shown
from lunart.report.drawing import Picture, png
from lunart.report.pictures import LUNG_WINDOW_HU, Plane
from lunart.report.places import Place
from lunart.result import Result

DISCLAIMER = (
    "Research software, no medical device: not for diagnosis or for decisions about a patient."
)
_SIDES = {
    "R": "the patient's right",
    "L": "the patient's left",
    "A": "front",
    "P": "back",
    "H": "head",
    "F": "feet",
}
_MINUS = "\N{MINUS SIGN}"
_TIMES = "\N{MULTIPLICATION SIGN}"
_STAGES = {"load": "load the networks (not in the total)", "region": "lung region"}


def render(it: Contents) -> str:
    """The report's HTML. The same contents give the same text."""
    style = resources.files(__package__).joinpath("report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            it=it,
            style=Markup(style),
            style_hash=f"sha256-{digest}",
            version=_core.__version__,
            disclaimer=DISCLAIMER,
            summary=summary(it),
            candidates=counted(it.result.candidate_count, "candidate"),
            undrawn=sum(not one.planes for one in it.nodules),
            overview_alt=_overview_alt(it),
            ends=[_SIDES[letter] for letter in it.axis_ends],
            strip_words=_strip_words(it),
            planes_words=_planes_words(it),
            scan_facts=_scan_facts(it),
            run_facts=_run_facts(it),
            timings=[(_STAGES.get(k, k), v) for k, v in asdict(it.result.timings_s).items()],
        )
    )


def environment() -> Environment:
    """Templates that escape whatever they are given, with the filters of numbers and pictures."""
    made = Environment(
        loader=PackageLoader("lunart.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        plain=plain,
        picture=picture,
        decimals=decimals,
        probability=probability,
        exact=exact,
        millimetres=millimetres,
        plane_alt=_plane_alt,
        through=_through,
    )
    return made


def plain(text: object) -> str:
    """Text of a file on one line: what controls a terminal or turns writing around is a box."""
    return "".join(
        character if unicodedata.category(character)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for character in str(text)
    )


def picture(rgb: Picture) -> str:
    """A picture as the address of itself."""
    return "data:image/png;base64," + base64.b64encode(png(rgb)).decode()


def decimals(value: float, places: int) -> str:
    """A number with so many decimals, as people read it."""
    return f"{value:,.{places}f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", _MINUS)


def probability(value: float) -> str:
    """Two decimals that never round to certainty or to nothing."""
    if 0 < value < 0.005:
        return "< 0.01"
    if 0.995 <= value < 1:
        return "> 0.99"
    return f"{value:.2f}"


def exact(threshold: float) -> str:
    """A threshold as it was set, which rounding would turn into another."""
    return f"{threshold:.6g}"


def millimetres(xyz: Sequence[float]) -> str:
    """Three numbers with one decimal."""
    return ", ".join(decimals(value, 1) for value in xyz)


def counted(count: int, name: str) -> str:
    """``1 nodule``, ``2 nodules``."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def summary(it: Contents) -> str:
    """One line: how many, and the most probable."""
    return summary_of(it.result, it.nodules[0].place if it.nodules else None)


def summary_of(result: Result, first_place: Place | None) -> str:
    """The same; ``first_place`` is where the most probable nodule lies, where that is known."""
    among = f"among {counted(result.candidate_count, 'candidate')}"
    if not result.nodules:
        return f"No nodule found {among}."
    first = result.nodules[0]
    words = [
        f"{decimals(first.diameter_mm, 1)} mm",
        *([] if first_place is None else [str(first_place)]),
        f"probability {probability(first.probability)}",
        *([] if first.malignancy is None else [f"malignancy {probability(first.malignancy)}"]),
    ]
    most = "The nodule" if len(result.nodules) == 1 else "The most probable"
    found = f"{counted(len(result.nodules), 'nodule')} found {among}"
    return f"{found}. {most}: {', '.join(words)}."


def _through(plane: Plane) -> str:
    axis = {"axial": 2, "coronal": 1, "sagittal": 0}[plane.name]
    return f"{'xyz'[axis]} = {decimals(plane.center_xyz_mm[axis], 1)} mm"


def _plane_alt(one: Shown, plane: Plane) -> str:
    left, right, top, bottom = (_SIDES[letter] for letter in plane.sides)
    return (
        f"Nodule {one.number}, {plane.name} plane at {_through(plane)}, "
        f"{plane.view_mm:.0f} mm wide, {left} at the left, {right} at the right, "
        f"{top} at the top, {bottom} at the bottom. The outlined nodule has a diameter of "
        f"{decimals(one.finding.diameter_mm, 1)} mm and a probability of "
        f"{probability(one.finding.probability)}."
    )


def _overview_alt(it: Contents) -> str:
    text = "The chest from the front. "
    if not it.nodules:
        return text + "No nodule is marked."
    return (
        text
        + " ".join(
            f"Nodule {one.number}: {one.place}, {decimals(one.finding.diameter_mm, 1)} mm."
            for one in it.nodules[:MOST_PICTURES]
        )
        + _unmarked(it)
    )


def _unmarked(it: Contents) -> str:
    left = len(it.nodules) - MOST_PICTURES
    return f" {left} more are in the table alone." if left > 0 else ""


def _strip_words(it: Contents) -> str:
    chart = it.strip
    text = (
        f"The segmentation's highest probability in each of {counted(chart.slices, 'slice')}, from "
        f"{_SIDES[it.axis_ends[0]]} to {_SIDES[it.axis_ends[1]]}: at most "
        f"{probability(chart.highest)}, at slice {chart.highest_slice + 1}; above 0.5 in "
        f"{counted(chart.above_half, 'slice')}."
    )
    if it.nodules:
        at = ", ".join(
            f"{one.number} at slice {one.slice_number}" for one in it.nodules[:MOST_PICTURES]
        )
        text += f" Nodules: {at}.{_unmarked(it)}"
    return text


def _planes_words(it: Contents) -> str:
    low, high = LUNG_WINDOW_HU
    text = (
        f"Lung window, {_MINUS}{-low:.0f} to {high:.0f} HU. Planes are the patient's: R right, "
        "L left, A front, P back, H head, F feet. The orange line is what was found."
    )
    if it.oblique:
        text += (
            f" The scan is oblique by {it.tilt_degrees:.1f}°: its slices are tilted against these "
            "planes, which are interpolated between them."
        )
    return text


def _scan_facts(it: Contents) -> list[tuple[str, str]]:
    scan = it.result.scan
    x, y, z = scan.spacing_mm
    i, r, c = scan.shape_irc
    high, deep, wide = it.extent_mm
    tilt = f", oblique by {it.tilt_degrees:.1f}°" if it.oblique else ""
    return [
        ("File", it.scan_name),
        ("Series UID", scan.series_uid or "not known"),
        ("Voxels (images, rows, columns)", f"{i} {_TIMES} {r} {_TIMES} {c}"),
        (
            "Voxel size (mm: columns, rows, images)",
            f"{_short(x)} {_TIMES} {_short(y)} {_TIMES} {_short(z)}",
        ),
        ("Size (mm: columns, rows, images)", f"{wide:.0f} {_TIMES} {deep:.0f} {_TIMES} {high:.0f}"),
        ("First voxel (mm: x, y, z)", millimetres(scan.origin_mm)),
        ("Columns, rows, images run towards", it.orientation + tilt),
        ("Direction", ", ".join(_short(value) for value in scan.direction)),
        ("Checksum of the voxels", scan.hu_crc32),
    ]


def _run_facts(it: Contents) -> list[tuple[str, str]]:
    result = it.result
    engine = result.engine
    return [
        ("Bundle", result.bundle.name),
        ("Bundle's SHA-256", result.bundle.sha256),
        ("Engine", f"{engine.name} {engine.version}"),
        ("Precision", engine.precision),
        ("Device", f"{engine.device}, {counted(engine.threads, 'thread')}"),
        ("Candidates", str(result.candidate_count)),
        ("Nodules have a probability above", exact(result.threshold)),
        ("Most memory (MB)", decimals(result.peak_rss_mb, 0)),
    ]


def _short(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4f}".rstrip("0").rstrip(".").replace("-", _MINUS)
