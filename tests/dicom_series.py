"""Synthetic DICOM series for tests: geometries, faults and transfer syntaxes.

JPEG lossless and JPEG 2000 codestreams come from SimpleITK's GDCM, others from pydicom's plugins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

ROOT = "1.2.826.0.1.3680043.8.498.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG lossless": JPEGLossless,
    "JPEG lossless SV1": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}
# Selection value 1, which is what GDCM writes, is legal in both kinds of JPEG lossless.
_BY_GDCM = {JPEGLossless: "JPEG", JPEGLosslessSV1: "JPEG", JPEG2000Lossless: "JPEG2000"}


@dataclass
class Made:
    """What a series is to be; ``slices`` says the rest."""

    count: int = 8
    rows: int = 12
    cols: int = 10
    step: float = 2.5
    pixel_spacing: tuple[float, float] = (0.75, 0.5)
    origin: tuple[float, float, float] = (-30.0, -40.0, -100.0)
    orientation: tuple[float, ...] = AXIAL
    slope: Sequence[float] | float = 1.0
    intercept: Sequence[float] | float = -1024.0
    signed: bool = False
    bits_stored: int = 16
    shear: tuple[float, float, float] = (0.0, 0.0, 0.0)  # mm that each slice lies aside
    series: int = 1
    seed: int = 1
    tags: dict[str, Any] = field(default_factory=dict)


def normal_of(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Unit vector of rising slices."""
    return np.cross(orientation[:3], orientation[3:])


def stored_of(made: Made) -> NDArray[Any]:
    """(index, row, col): smooth, with some noise, in the range of the bits."""
    rng = np.random.default_rng(made.seed)
    k, r, c = np.mgrid[: made.count, : made.rows, : made.cols]
    top = min(1 << (made.bits_stored - int(made.signed)), 4096) - 1
    values = (
        0.5 * top
        + 0.3 * top * np.sin(k / 3.0) * np.cos(r / 5.0)
        + 40 * c
        + rng.integers(-20, 20, k.shape)
    )
    low = -(top + 1) // 2 if made.signed else 0
    return np.clip(values + low, low, top).astype(np.int16 if made.signed else np.uint16)


def slices(made: Made | None = None) -> list[Dataset]:
    """One data set a slice, uncompressed, in rising order along the normal."""
    made = made or Made()
    stored = stored_of(made)
    normal = normal_of(made.orientation)
    out = []
    for k in range(made.count):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.SOPClassUID = CTImageStorage
        data.SOPInstanceUID = f"{ROOT}.{made.series}.{k + 1}"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.StudyInstanceUID = f"{ROOT}.99"
        data.SeriesInstanceUID = f"{ROOT}.{made.series}"
        data.FrameOfReferenceUID = f"{ROOT}.98"
        data.PatientName = "Secret^Name"
        data.PatientID = "SECRET-ID"
        data.PatientBirthDate = "19500101"
        data.Modality = "CT"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.SeriesDescription = "Thorax 2.5 lung"
        data.InstanceNumber = k + 1
        data.AcquisitionNumber = 1
        data.SliceThickness = "2.5"
        place = np.array(made.origin) + k * (made.step * normal + np.array(made.shear))
        data.ImagePositionPatient = [f"{v:.10g}" for v in place]
        data.ImageOrientationPatient = [f"{v:.10g}" for v in made.orientation]
        data.PixelSpacing = [str(v) for v in made.pixel_spacing]
        data.Rows, data.Columns = made.rows, made.cols
        data.SamplesPerPixel = 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated = 16
        data.BitsStored = made.bits_stored
        data.HighBit = made.bits_stored - 1
        data.PixelRepresentation = int(made.signed)
        data.RescaleSlope = str(_at(made.slope, k))
        data.RescaleIntercept = str(_at(made.intercept, k))
        data.RescaleType = "HU"
        data.PixelData = stored[k].tobytes()
        data["PixelData"].VR = "OW"
        for name, value in made.tags.items():
            setattr(data, name, value)
        out.append(data)
    return out


def hu_of(made: Made) -> NDArray[np.float64]:
    """What the scan must hold, exactly."""
    slope = np.array([_at(made.slope, k) for k in range(made.count)])
    intercept = np.array([_at(made.intercept, k) for k in range(made.count)])
    return slope[:, None, None] * stored_of(made) + intercept[:, None, None]


def save(
    series: Sequence[Dataset],
    folder: Path,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    shuffled: bool = True,
    prefix: str = "IM",
) -> Path:
    """Files without extension, in an order that says nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(3).permutation(len(series)) if shuffled else range(len(series))
    for number, k in enumerate(order):
        data = encoded(series[int(k)], syntax)
        data.save_as(folder / f"{prefix}{number:04d}", enforce_file_format=True)
    return folder


def encoded(data: Dataset, syntax: UID) -> Dataset:
    """A copy in a transfer syntax."""
    copy = pydicom.dcmread(_bytes(data))
    copy.file_meta.TransferSyntaxUID = syntax
    if syntax in _BY_GDCM:
        copy.PixelData = encapsulate([codestream(copy, _BY_GDCM[syntax])])
        copy["PixelData"].VR = "OB"
        copy["PixelData"].is_undefined_length = True
    elif syntax.is_encapsulated:
        copy.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        copy.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        copy.PixelData = np.frombuffer(copy.PixelData, "<u2").astype(">u2").tobytes()
        # pydicom wants the byte order of what it writes, too.
        copy["PixelData"].VR = "OW"
        copy = pydicom.dcmread(_bytes(copy, implicit=False, little=False), force=True)
    return copy


def enhanced(series: Sequence[Dataset], syntax: UID) -> Dataset:
    """The slices as one multi-frame Enhanced CT, what is alike in the shared groups."""
    first = series[0]
    frames = [encoded(data, syntax) for data in series]
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = EnhancedCTImageStorage
    data.SOPInstanceUID = f"{first.SeriesInstanceUID}.100"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    for name in (
        "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "ImageType",
        "InstanceNumber", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    ):  # fmt: skip
        setattr(data, name, getattr(first, name))
    data.NumberOfFrames = len(series)
    data.SharedFunctionalGroupsSequence = [
        _groups(first, PlaneOrientationSequence=["ImageOrientationPatient"],
                PixelMeasuresSequence=["PixelSpacing", "SliceThickness"])
    ]  # fmt: skip
    data.PerFrameFunctionalGroupsSequence = [
        _groups(one, PlanePositionSequence=["ImagePositionPatient"],
                PixelValueTransformationSequence=[
                    "RescaleIntercept", "RescaleSlope", "RescaleType"])
        for one in series
    ]  # fmt: skip
    if syntax.is_encapsulated:
        pixels = [next(generate_frames(f.PixelData, number_of_frames=1)) for f in frames]
        data.PixelData = encapsulate(pixels)
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    else:
        data.PixelData = b"".join(f.PixelData for f in frames)
        data["PixelData"].VR = "OW"
    return data


def _groups(source: Dataset, **wanted: list[str]) -> Dataset:
    out = Dataset()
    for sequence, names in wanted.items():
        item = Dataset()
        for name in names:
            setattr(item, name, getattr(source, name))
        setattr(out, sequence, [item])
    return out


def codestream(data: Dataset, compressor: str) -> bytes:
    """What GDCM makes of the pixels."""
    kind = np.int16 if data.PixelRepresentation else np.uint16
    array = np.frombuffer(data.PixelData, kind).reshape(1, data.Rows, data.Columns)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "a.dcm"))
        writer.SetFileName(path)
        writer.Execute(sitk.GetImageFromArray(array))
        made = pydicom.dcmread(path)
    assert made.file_meta.TransferSyntaxUID in (JPEGLosslessSV1, JPEG2000Lossless)
    return next(generate_frames(made.PixelData, number_of_frames=1))


def by_simple_itk(folder: Path, series_uid: str) -> sitk.Image:
    """What SimpleITK makes of a series."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series_uid))
    return reader.Execute()


def _bytes(data: Dataset, implicit: bool = False, little: bool = True) -> Any:
    out = BytesIO()
    pydicom.dcmwrite(
        out, data, enforce_file_format=True, implicit_vr=implicit, little_endian=little
    )
    out.seek(0)
    return out


def _at(value: Sequence[float] | float, k: int) -> float:
    return value if isinstance(value, int | float) else value[k]


def of_scan(scan: Any) -> list[Dataset]:
    """The slices of a ``lunart._core.Scan`` of int16 HU."""
    d = scan.direction
    x, y, z = scan.spacing_mm
    count, rows, cols = scan.shape_irc
    made = Made(
        count=count,
        rows=rows,
        cols=cols,
        step=z,
        pixel_spacing=(y, x),
        origin=scan.origin_mm,
        orientation=(d[0], d[3], d[6], d[1], d[4], d[7]),
        intercept=-1024,
        signed=True,
    )
    out = slices(made)
    for k, data in enumerate(out):
        data.PixelData = (scan.hu[k] + 1024).astype(np.int16).tobytes()
    return out
