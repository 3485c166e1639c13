"""A synthetic film as a DICOM file: Digital X-Ray Image Storage, For Presentation (DICOM PS3.3, A.26)."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from studies.synthetic.files import MissingPackageError, Photometric, stored_values
from studies.synthetic.study import SyntheticStudy

_DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
# How rows and columns run: towards the patient's left and feet; from front to back on a lateral film.
_ORIENTATION = {"PA": ["L", "F"], "AP": ["L", "F"], "LATERAL": ["P", "F"]}
_POSITION = {"PA": "PA", "AP": "AP", "LATERAL": "LL"}


class Compression(StrEnum):
    NONE = "none"
    RLE = "rle"
    DEFLATED = "deflated"


def write_dicom(
    path: Path,
    study: SyntheticStudy,
    *,
    bits: int = 12,
    photometric: Photometric = Photometric.MONOCHROME2,
    window: tuple[float, float] | None = None,
    compression: Compression = Compression.RLE,
    number: int = 1,
) -> None:
    """Write one film.

    Args:
        number: of the film in its study.
        bits: stored, 8, 12 or 16.
        window: centre and width of a VOI window, in stored values; None writes none.

    Raises:
        MissingPackageError: pydicom is not installed.
    """
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless
    except ImportError:
        raise MissingPackageError(
            'pydicom is not installed; install the extra: pip install "carina-cxr[images]"'
        ) from None

    inverted = photometric is Photometric.MONOCHROME1
    values_HW = stored_values(study.pixels_HW, bits, inverted=inverted)
    deflated = compression is Compression.DEFLATED
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID(_DX_FOR_PRESENTATION)
    instance = UID(_uid(f"image {study.study_id} {study.seed}" + (f" {number}" if number > 1 else "")))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = instance
    dataset.StudyInstanceUID = _uid(f"study {study.study_id} {study.seed}")
    dataset.SeriesInstanceUID = _uid(f"series {study.study_id} {study.seed}")
    dataset.PatientID = dataset.PatientName = study.patient_id
    dataset.PatientSex, dataset.PatientAge = study.anatomy.sex, f"{study.anatomy.age:03d}Y"
    dataset.PatientBirthDate = dataset.StudyDate = dataset.StudyTime = dataset.ReferringPhysicianName = ""
    dataset.StudyID = dataset.AccessionNumber = study.study_id[:16]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.Manufacturer = "Synthetic"
    dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
    dataset.ViewPosition = _POSITION[study.view]
    dataset.PatientOrientation = _ORIENTATION[study.view]
    dataset.ImageLaterality = "U"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1 if inverted else 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    spacing = f"{study.spacing_mm:.6f}"
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric.value
    dataset.Rows, dataset.Columns = values_HW.shape
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = str(window[0]), str(window[1])
    dataset.PixelData = values_HW.tobytes() + b"\0" * (values_HW.nbytes % 2)
    if compression is Compression.RLE:
        dataset.compress(RLELossless, values_HW, encoding_plugin="pydicom", generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def _uid(text: str) -> str:
    """A UID of this text (2.25 and a number of 128 bits, DICOM PS3.5 B.2): the same study has the same UIDs."""
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"
