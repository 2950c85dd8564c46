"""Small CT series as DICOM files, whose marked voxels can be found again in every file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

#: HU of marked voxels: MARK + k for the mark k = 1, 2, ...; nothing else is as bright.
MARK = 900
ROOT = "1.2.826.0.1.3680043.10.1234"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def chest(shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """HU of a body with two lungs (slices, rows, cols)."""
    hu = np.full(shape, -1000, np.int16)
    _, rows, cols = shape
    row, col = np.mgrid[:rows, :cols]
    y, x = (row - rows / 2) / (rows / 2), (col - cols / 2) / (cols / 2)
    hu[:, (x / 0.95) ** 2 + (y / 0.8) ** 2 < 1] = 40
    for side in (-1, 1):
        lung = ((x - side * 0.45) / 0.33) ** 2 + (y / 0.6) ** 2 < 1
        hu[:, lung] = -850
    return hu


def with_marks(hu: NDArray[np.int16], places: Sequence[tuple[int, int, int]]) -> NDArray[np.int16]:
    """Marks of shapes without any symmetry: a flip or a wrong slice cannot go unseen."""
    marked = hu.copy()
    for k, (i, r, c) in enumerate(places, 1):
        marked[i, r : r + 4, c : c + 3] = MARK + k
        marked[i, r, c + 3 : c + 5] = MARK + k
        marked[i + 1, r + 1 : r + 3, c : c + 2] = MARK + k
    return marked


def write_ct(
    folder: Path,
    hu: NDArray[np.int16],
    *,
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float, float] = (5.0, 5.5, 4.0),
    first: tuple[float, float, float] = (-150.0, -160.0, -90.0),
    position: str = "HFS",
    seed: int = 0,
    edit: Callable[[Dataset, int], None] = lambda dataset, index: None,
) -> list[Path]:
    """One file a slice of ``hu``, stacked along the normal of ``orientation``; names are shuffled.

    ``spacing`` is (along the rows, along the columns, between slices) in mm. ``edit`` changes a
    slice before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    along_row, along_col = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_row, along_col)
    names = np.random.default_rng(seed).permutation(len(hu))
    files = []
    for index, plane in enumerate(hu):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = f"{ROOT}.3.{index + 1}"
        dataset.StudyInstanceUID = f"{ROOT}.1"
        dataset.SeriesInstanceUID = f"{ROOT}.2"
        dataset.FrameOfReferenceUID = f"{ROOT}.4"
        dataset.PositionReferenceIndicator = None
        dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20200102"
        dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "101112"
        dataset.AcquisitionDate, dataset.AcquisitionTime = "20200102", "101112"
        dataset.AccessionNumber, dataset.StudyID = "ACC1", "ST1"
        dataset.StudyDescription = "CHEST"
        dataset.Modality, dataset.Manufacturer = "CT", "Maker"
        dataset.ReferringPhysicianName = "Referrer^Some"
        dataset.PatientName, dataset.PatientID = "Müller^Jörg", "PID-77"
        dataset.PatientBirthDate, dataset.PatientSex = "19501231", "M"
        dataset.PatientPosition = position
        dataset.SeriesNumber, dataset.AcquisitionNumber = 3, 1
        dataset.InstanceNumber = index + 1
        dataset.KVP = 120
        place = np.array(first) + normal * spacing[2] * index
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in place]
        dataset.ImageOrientationPatient = [f"{value:.8f}" for value in orientation]
        dataset.PixelSpacing = [spacing[1], spacing[0]]
        dataset.SliceThickness = spacing[2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = plane.shape
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.PixelRepresentation = 1
        dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
        dataset.RescaleType = "HU"
        dataset.PixelData = np.ascontiguousarray(plane, "<i2").tobytes()
        edit(dataset, index)
        path = folder / f"{names[index]:04}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    return files
