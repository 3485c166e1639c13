"""Writes the DICOM files that tests read: a radiograph of given stored values, in a transfer syntax, with any tags."""

import io

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

CR = "1.2.840.10008.5.1.4.1.1.1"
JPEG = UID("1.2.840.10008.1.2.4.50")
JPEG_12_BIT = UID("1.2.840.10008.1.2.4.51")
JPEG_LOSSLESS = UID("1.2.840.10008.1.2.4.57")
JPEG_LOSSLESS_SV1 = UID("1.2.840.10008.1.2.4.70")
JPEG_LS = UID("1.2.840.10008.1.2.4.80")
JPEG_LS_NEAR = UID("1.2.840.10008.1.2.4.81")
JPEG_2000_LOSSLESS = UID("1.2.840.10008.1.2.4.90")
JPEG_2000 = UID("1.2.840.10008.1.2.4.91")


def radiograph(values_HW, *, bits=12, syntax=ExplicitVRLittleEndian, **tags):
    """A data set; None drops a tag. values_HW are stored values, signed where their dtype is."""
    values_HW = np.asarray(values_HW)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CR, "1.2.3.4", "CR"
    dataset.Rows, dataset.Columns = values_HW.shape[:2]
    dataset.SamplesPerPixel = 1 if values_HW.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if values_HW.ndim == 2 else "RGB"
    if values_HW.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * values_HW.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(values_HW.dtype.kind == "i")
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    if UID(syntax).is_compressed:
        frame = compressed(values_HW, bits, syntax)
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
    else:
        order = "<" if UID(syntax).is_little_endian else ">"
        dataset.PixelData = values_HW.astype(values_HW.dtype.newbyteorder(order)).tobytes()
        dataset["PixelData"].VR = "OB" if values_HW.dtype.itemsize == 1 else "OW"
    return dataset


def compressed(values_HW, bits, syntax):
    if syntax == RLELossless:  # pydicom's own encoder; the reader decodes with another library
        raw = radiograph(values_HW, bits=bits)
        raw.compress(RLELossless, generate_instance_uid=False)
        return pydicom.encaps.get_frame(raw.PixelData, 0, number_of_frames=1)
    if syntax == JPEG:  # Pillow's encoder
        buffer = io.BytesIO()
        Image.fromarray(values_HW).save(buffer, "JPEG", quality=100, subsampling=0)
        return buffer.getvalue()
    if syntax == JPEG_12_BIT:
        return imagecodecs.jpeg8_encode(values_HW, level=100, bitspersample=12)
    if syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        predictor = 1 if syntax == JPEG_LOSSLESS_SV1 else 4
        unsigned = values_HW.view(f"u{values_HW.dtype.itemsize}") & np.array(
            2**bits - 1, f"u{values_HW.dtype.itemsize}"
        )
        return imagecodecs.jpeg8_encode(unsigned, lossless=True, bitspersample=bits, predictor=predictor)
    if syntax in (JPEG_LS, JPEG_LS_NEAR):
        return imagecodecs.jpegls_encode(values_HW, level=0 if syntax == JPEG_LS else 2)
    return imagecodecs.jpeg2k_encode(values_HW, level=0, bitspersample=bits, codecformat="j2k", reversible=True)


def write_dicom(path, values_HW=None, *, dataset=None, **options):
    """`radiograph` (or a data set) as a file with a preamble; its path."""
    if dataset is None:
        dataset = radiograph(values_HW, **options)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def lut(entries, first, bits, *, as_bytes=None):
    """One item of a LUT sequence. as_bytes: LUT Data as OW, of words ("<u2") or packed bytes ("u1")."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    signed = first < 0
    item["LUTDescriptor"].VR = "SS" if signed else "US"
    item.LUTData = np.asarray(entries, as_bytes).tobytes() if as_bytes else list(map(int, entries))
    item["LUTData"].VR = "OW" if as_bytes else "US"
    return item
