"""Transfer syntaxes, tags, and every kind of DICOM file that is no chest film."""

import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from studies.images import Film, ImageError, read_film
from tests.studies.dicom_files import (
    JPEG,
    JPEG_12_BIT,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    radiograph,
    write_dicom,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "images" / "dicom"
LOSSLESS = {
    "RLE": RLELossless,
    "JPEG lossless": JPEG_LOSSLESS,
    "JPEG lossless SV1": JPEG_LOSSLESS_SV1,
    "JPEG-LS": JPEG_LS,
    "JPEG 2000": JPEG_2000_LOSSLESS,
}


def chest(bits, *, signed=False):
    """Smooth stored values of all magnitudes: 45 rows, 64 columns."""
    rows, columns = np.mgrid[:45, :64]
    unit = (np.sin(rows / 9) + np.cos(columns / 11) + 2) / 4
    values = np.rint(unit * (2**bits - 1))
    if signed:
        return (values - 2 ** (bits - 1)).astype(np.int16)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


@pytest.fixture
def film(tmp_path):
    def read(values_HW, **options):
        return read_film(write_dicom(tmp_path / "film", values_HW, **options))

    return read


@pytest.fixture
def refusal(tmp_path):
    def message(dataset):
        path = write_dicom(tmp_path / "film.dcm", dataset=dataset)
        with pytest.raises(ImageError) as caught:
            read_film(path)
        assert str(caught.value).startswith(str(path))
        return str(caught.value)

    return message


class TestTransferSyntaxes:
    @pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
    @pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
    def test_lossless_compression_gives_the_raw_files_pixels(self, film, syntax, bits):
        values = chest(bits)
        np.testing.assert_array_equal(
            film(values, bits=bits, syntax=syntax).pixels_HW, film(values, bits=bits).pixels_HW
        )

    @pytest.mark.parametrize("syntax", [RLELossless, JPEG_LOSSLESS_SV1, JPEG_2000_LOSSLESS])
    def test_signed_values_survive_compression(self, film, syntax):
        values = chest(12, signed=True)
        np.testing.assert_array_equal(film(values, syntax=syntax).pixels_HW, film(values).pixels_HW)

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
    def test_byte_orders_and_deflation_change_nothing(self, film, syntax):
        values = chest(12)
        np.testing.assert_array_equal(film(values, syntax=syntax).pixels_HW, film(values).pixels_HW)

    def test_lossy_compression_comes_close(self, film):
        values = chest(8)
        baseline = film(values, bits=8, syntax=JPEG).pixels_HW * 255
        assert np.abs(baseline - values).max() < 2
        deep = chest(12)
        np.testing.assert_allclose(film(deep, syntax=JPEG_12_BIT).pixels_HW * 4095, deep, atol=4)
        near = film(deep, syntax=JPEG_LS_NEAR).pixels_HW * 4095
        assert 0 < np.abs(near - deep).max() < 2.01  # the encoder was told 2

    def test_a_jpeg_2000_codestream_may_be_deeper_than_bits_stored(self, film):
        # A toolkit writes 12-bit values in a 16-bit codestream; the range is still 12 bits.
        values = chest(12)
        frame = imagecodecs.jpeg2k_encode(values, level=0, bitspersample=16, codecformat="j2k", reversible=True)
        dataset = radiograph(values, syntax=JPEG_2000, PhotometricInterpretation="MONOCHROME1")
        dataset.PixelData = encapsulate([frame])
        read = film(None, dataset=dataset)
        np.testing.assert_allclose(read.pixels_HW, 1 - values / 4095, atol=1e-6)

    def test_values_beyond_bits_stored_are_refused(self, refusal):
        dataset = radiograph(chest(14), bits=14, syntax=JPEG_2000)
        dataset.BitsStored, dataset.HighBit = 12, 11
        assert "12 bits are stored, and its compressed values reach from" in refusal(dataset)

    def test_a_codestream_of_another_size_is_refused(self, refusal):
        dataset = radiograph(chest(12), syntax=JPEG_2000, Rows=44)
        assert "says it is (44, 64), and its compressed image is (45, 64)" in refusal(dataset)

    def test_an_unknown_syntax_is_named(self, refusal):
        dataset = radiograph(chest(12), syntax=JPEG_LS)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2
        assert "transfer syntax 1.2.840.10008.1.2.4.100" in refusal(dataset)

    def test_a_missing_decoder_names_the_extra(self, film, monkeypatch):
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
        with pytest.raises(ImageError, match=r"needs imagecodecs: pip install 'carina-cxr\[images\]'"):
            film(chest(12), syntax=JPEG_LS)

    @pytest.mark.parametrize("implicit", [True, False])
    def test_neither_preamble_nor_suffix_is_needed(self, tmp_path, implicit):
        dataset = radiograph(chest(12))
        del dataset.file_meta
        path = tmp_path / "00000001"
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=True, force_encoding=True)
        np.testing.assert_allclose(read_film(path).pixels_HW, chest(12) / 4095, atol=1e-6)


class TestWhatIsNoFilm:
    @pytest.mark.parametrize("modality", ["MG", "CT", "MR", "US", "XA", "OT", ""])
    def test_other_modalities(self, refusal, modality):
        message = refusal(radiograph(chest(12), Modality=modality, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
        assert f"modality {modality or 'not given'}; chest films are CR, DX, RG" in message

    @pytest.mark.parametrize("modality", ["CR", "DX", "RG"])
    def test_radiographs_are_films(self, film, modality):
        assert film(chest(12), Modality=modality).kind == "dicom"

    def test_the_storage_class_speaks_where_the_modality_is_missing(self, film, refusal):
        assert film(chest(12), Modality=None).bits == 12
        secondary = radiograph(chest(12), Modality=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
        assert "modality not given" in refusal(secondary)

    def test_the_detectors_raw_values(self, refusal):
        assert "for processing" in refusal(radiograph(chest(12), PresentationIntentType="FOR PROCESSING"))

    def test_several_frames(self, refusal):
        dataset = radiograph(np.concatenate([chest(12), chest(12)]), Rows=45, NumberOfFrames=2)
        assert "2 frames" in refusal(dataset)

    def test_encrypted_attributes(self, refusal):
        dataset = radiograph(chest(12))
        dataset.EncryptedAttributesSequence = [Dataset()]
        assert "encrypted" in refusal(dataset)

    def test_a_report_has_no_image(self, refusal):
        dataset = radiograph(chest(12), Modality="SR")
        del dataset.PixelData
        assert "no integer pixel data (modality SR" in refusal(dataset)

    def test_a_directory_of_files(self, refusal):
        dataset = radiograph(chest(12), DirectoryRecordSequence=[Dataset()])
        assert "DICOMDIR" in refusal(dataset)

    def test_colour_but_not_grey_saved_as_colour(self, film, refusal):
        grey = chest(8)
        as_colour = np.repeat(grey[..., None], 3, axis=2)
        for syntax in ("1.2.840.10008.1.2.1", RLELossless):
            read = film(as_colour, bits=8, syntax=syntax)
            np.testing.assert_allclose(read.pixels_HW, grey / 255, atol=1e-6)
            assert read.photometric == "RGB"
        as_colour[3, 4, 1] ^= 64
        assert "coloured: its channels differ by up to 64 of 255" in refusal(radiograph(as_colour, bits=8))
        palette = radiograph(grey, bits=8, PhotometricInterpretation="PALETTE COLOR")
        assert "PALETTE COLOR" in refusal(palette)

    def test_grey_in_a_colour_jpeg_is_grey(self, film):
        grey = chest(8)
        as_colour = np.repeat(grey[..., None], 3, axis=2)
        read = film(as_colour, bits=8, syntax=JPEG, PhotometricInterpretation="YBR_FULL_422")
        assert np.abs(read.pixels_HW * 255 - grey).max() < 3
        assert read.photometric == "YBR_FULL_422"

    @pytest.mark.parametrize("keyword", ["BitsStored", "PixelRepresentation", "Rows"])
    def test_a_required_tag_that_is_missing(self, refusal, keyword):
        assert f"lacks {keyword}, which every DICOM image has" in refusal(radiograph(chest(12), **{keyword: None}))

    def test_other_depths(self, refusal):
        assert "1 bits stored in 8" in refusal(radiograph(chest(8), bits=1))
        assert "12 bits stored in 32" in refusal(radiograph(chest(12).astype(np.uint32)))

    def test_without_pydicom(self, tmp_path, monkeypatch):
        path = write_dicom(tmp_path / "film.dcm", chest(12))
        monkeypatch.setitem(sys.modules, "pydicom", None)
        with pytest.raises(ImageError, match=r"pydicom is not here: pip install 'carina-cxr\[images\]'"):
            read_film(path)

    def test_a_blank_film_and_one_that_its_window_blanks(self, refusal):
        assert "blank: every pixel is 0.5" in refusal(radiograph(np.full((30, 30), 2048, np.uint16)))
        message = refusal(radiograph(chest(12) % 4000, WindowCenter="4090", WindowWidth="2"))
        assert "blank: every pixel is 0 of 1 (with VOI window 1 of 1 (center 4090" in message

    @pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", *LOSSLESS.values(), JPEG_12_BIT])
    @pytest.mark.parametrize("kept", [0.999, 0.95, 0.6, 0.3, 0.1])
    def test_a_truncated_file(self, tmp_path, syntax, kept):
        path = write_dicom(tmp_path / "film.dcm", np.tile(chest(12), (4, 4)), syntax=syntax)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        with pytest.raises(ImageError, match=r"truncated|cut off"):
            read_film(path)

    @pytest.mark.parametrize("syntax", [*LOSSLESS.values(), JPEG_12_BIT])
    def test_a_truncated_codestream_in_a_whole_file(self, refusal, syntax):
        dataset = radiograph(np.tile(chest(12), (4, 4)), syntax=syntax)
        frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
        dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
        assert "truncated" in refusal(dataset)

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        seed=st.integers(0, 10**6),
        changes=st.integers(1, 6),
        syntax=st.sampled_from(["1.2.840.10008.1.2.1", RLELossless, JPEG_LS, JPEG_2000, JPEG_LOSSLESS_SV1]),
    )
    def test_a_corrupt_file_is_a_film_or_an_image_error(self, tmp_path, seed, changes, syntax):
        path = write_dicom(tmp_path / "film.dcm", chest(12)[:16, :16], syntax=syntax)
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        chance = np.random.default_rng(seed)
        data[chance.integers(132, data.size, changes)] = chance.integers(0, 256, changes)
        path.write_bytes(data.tobytes())
        try:
            read = read_film(path)
        except ImageError:  # any other exception fails
            return
        assert isinstance(read, Film)
        assert read.pixels_HW.dtype == np.float32
        assert 0 <= read.pixels_HW.min() < read.pixels_HW.max() <= 1


class TestTags:
    @pytest.mark.parametrize(
        ("tags", "view", "source"),
        [
            ({}, None, None),
            ({"ViewPosition": "PA"}, "PA", "ViewPosition"),
            ({"ViewPosition": "AP"}, "AP", "ViewPosition"),
            ({"ViewPosition": "LL"}, "LATERAL", "ViewPosition"),
            ({"ViewPosition": "RL"}, "LATERAL", "ViewPosition"),
            ({"ViewPosition": "LATERAL"}, "LATERAL", "ViewPosition"),
            ({"ViewPosition": "LLD"}, "OTHER", "ViewPosition"),
            ({"ViewPosition": "AP AXIAL"}, "OTHER", "ViewPosition"),
            ({"ViewPosition": "CHEST"}, None, None),
            ({"ViewCodeSequence": "272479007"}, "PA", "ViewCodeSequence"),
            ({"ViewCodeSequence": "R-10206"}, "AP", "ViewCodeSequence"),
            ({"ViewCodeSequence": "399173006"}, "LATERAL", "ViewCodeSequence"),
            ({"ViewCodeSequence": "399135007"}, "OTHER", "ViewCodeSequence"),
            ({"PatientOrientation": ["A", "F"]}, "LATERAL", "PatientOrientation"),
            ({"PatientOrientation": ["L", "F"]}, None, None),  # AP and PA alike
            ({"SeriesDescription": "W033 Chest p.a."}, None, None),
            ({"SeriesDescription": "Chest PA upright"}, "PA", "SeriesDescription"),
            ({"SeriesDescription": "CHEST PA/LAT"}, None, None),
            ({"SeriesDescription": "LL VIEW"}, None, None),
            ({"ViewPosition": "PA", "SeriesDescription": "CHEST PA AND LATERAL"}, "PA", "ViewPosition"),
            (
                {"ViewPosition": "AP", "ViewCodeSequence": "272479007"},
                None,
                "conflict: ViewPosition AP, ViewCodeSequence PA",
            ),
        ],
    )
    def test_the_view_is_what_tags_state(self, film, tags, view, source):
        if "ViewCodeSequence" in tags:
            code = Dataset()
            code.CodeValue = tags["ViewCodeSequence"]
            tags = tags | {"ViewCodeSequence": [code]}
        read = film(chest(12), **tags)
        assert (read.view, read.view_source) == (view, source)

    def test_where_rows_and_columns_lead_is_read_and_the_pixels_stay(self, film):
        mirrored = film(chest(12), PatientOrientation=["R", "F"])
        assert mirrored.orientation == ("R", "F")
        np.testing.assert_array_equal(mirrored.pixels_HW, film(chest(12)).pixels_HW)
        assert film(chest(12)).orientation is None
        assert film(chest(12), PatientOrientation="").orientation is None

    def test_derived_is_the_first_value_of_image_type(self, film):
        assert film(chest(12), ImageType=["DERIVED", "PRIMARY"]).derived is True
        assert film(chest(12), ImageType=["ORIGINAL", "PRIMARY"]).derived is False
        assert film(chest(12)).derived is None
        assert film(chest(12), ImageType="").derived is None

    def test_spacing_is_read_and_never_guessed(self, film):
        assert film(chest(12)).spacing_mm is None
        both = film(chest(12), PixelSpacing=["0.2", "0.1"], ImagerPixelSpacing=["0.3", "0.3"])
        assert (both.spacing_mm, both.spacing_kind, both.spacing_calibration) == ((0.2, 0.1), "PixelSpacing", None)
        calibrated = film(chest(12), PixelSpacing=["0.2", "0.2"], PixelSpacingCalibrationType="FIDUCIAL")
        assert calibrated.spacing_calibration == "FIDUCIAL"
        detector = film(chest(12), ImagerPixelSpacing=["0.14", "0.14"])
        assert (detector.spacing_mm, detector.spacing_kind) == ((0.14, 0.14), "ImagerPixelSpacing")
        zero = film(chest(12), PixelSpacing=["0.000", "0.000"])  # a real file says so
        assert (zero.spacing_mm, zero.spacing_kind) == (None, None)

    def test_padding_is_not_valid(self, film):
        values = chest(12)
        values[:, :5] = 4000
        values[:, 5:7] = 4010
        values[values == 4005] = 0
        one = film(values, PixelPaddingValue=4000)
        np.testing.assert_array_equal(one.valid_HW, values != 4000)
        np.testing.assert_allclose(one.pixels_HW, values / 4095, atol=1e-6)  # the pixels stay
        ranged = film(values, PixelPaddingValue=4000, PixelPaddingRangeLimit=4010)
        np.testing.assert_array_equal(ranged.valid_HW, (values < 4000) | (values > 4010))
        assert film(chest(12) | 1, PixelPaddingValue=0).valid_HW is None

    def test_signed_padding_is_not_valid(self, film):
        values = chest(12, signed=True)
        values[:9] = -2000
        np.testing.assert_array_equal(film(values, PixelPaddingValue=-2000).valid_HW, values != -2000)


class TestRealFiles:
    def read(self, name):
        if not (DATA / name).exists():
            pytest.skip(f"shared data is not here: {name}")
        return read_film(DATA / name)

    def test_a_15_bit_computed_radiograph(self):
        read = self.read("RG1_J2KI_chest_pa_mono1_15bit.dcm")
        assert (read.bits, read.photometric, read.inverted, read.view) == (15, "MONOCHROME1", True, "PA")
        assert (read.derived, read.spacing_mm) == (True, None)  # its spacing is 0.000
        assert read.window == "VOI window 1 of 1 (center 15000, width 30000, LINEAR)"
        # Stored 803 to 26512, window from 0 to 29999: 1 - 803 / 29999 and 1 - 26512 / 29999
        assert read.pixels_HW.max() == pytest.approx(1 - 803 / 29999, abs=1e-6)
        assert read.pixels_HW.min() == pytest.approx(1 - 26512 / 29999, abs=1e-6)

    def test_a_false_tag_is_followed(self):
        true = self.read("siim_1.2.276...850819_mono2_8bit_jpeg.dcm")
        false = self.read("fake_mono1_siim_tagged.dcm")
        np.testing.assert_allclose(false.pixels_HW, 1 - true.pixels_HW, atol=1e-6)
        assert (true.inverted, false.inverted, true.spacing_mm) == (False, True, (0.168, 0.168))
