"""Stored values to what is shown: every expected number is worked out here from the formulas of PS3.3 C.11."""

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from studies.images import ImageError, read_film
from tests.studies.dicom_files import lut, radiograph, write_dicom

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "images" / "dicom"
UNSIGNED = np.array([[0, 1000, 2048], [3000, 4000, 4095]], np.uint16)
SIGNED = np.array([[-2048, -1, 0], [1, 1000, 2047]], np.int16)


@pytest.fixture
def film(tmp_path):
    def read(values_HW, *, voi=True, window_index=0, **options):
        path = write_dicom(tmp_path / "film.dcm", values_HW, **options)
        return read_film(path, voi=voi, window_index=window_index)

    return read


class TestFullRange:
    def test_bits_stored_set_the_ends(self, film):
        read = film(UNSIGNED)
        np.testing.assert_allclose(read.pixels_HW, UNSIGNED / 4095, rtol=1e-6)
        assert (read.window, read.bits, read.inverted, read.kind) == ("full range", 12, False, "dicom")
        assert read.pixels_HW.dtype == np.float32

    @pytest.mark.parametrize("bits", [8, 9, 10, 14, 15, 16])
    def test_every_depth_reaches_from_0_to_1(self, film, bits):
        top = 2**bits - 1
        values = np.array([[0, top // 3], [top - 1, top]], np.uint8 if bits == 8 else np.uint16)
        np.testing.assert_allclose(film(values, bits=bits).pixels_HW, values / top, rtol=1e-6)

    def test_8_bit_values_come_back_exactly(self, film):
        values = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_array_equal(np.rint(film(values, bits=8).pixels_HW * 255), values)

    def test_signed_values_are_sign_extended(self, film):
        np.testing.assert_allclose(film(SIGNED).pixels_HW, (SIGNED + 2048.0) / 4095, atol=1e-6)

    def test_bits_above_bits_stored_are_ignored(self, film):
        garbage = np.array([[0x0, 0x9000, 0xF000], [0x1000, 0x8000, 0xA000]], np.uint16)
        np.testing.assert_array_equal(film(UNSIGNED | garbage).pixels_HW, film(UNSIGNED).pixels_HW)
        loose = (SIGNED & 0x0FFF) | garbage.astype(np.int16)  # not sign-extended, and garbage besides
        np.testing.assert_array_equal(film(loose).pixels_HW, film(SIGNED).pixels_HW)

    def test_high_bit_may_be_missing_but_not_wrong(self, film):
        np.testing.assert_array_equal(film(UNSIGNED, HighBit=None).pixels_HW, film(UNSIGNED).pixels_HW)
        with pytest.raises(ImageError, match="High Bit 15; DICOM requires 11 of 12 bits"):
            film(UNSIGNED, HighBit=15)

    def test_rescale_moves_the_range_with_the_values(self, film):
        # The range goes through the same line, so that nothing changes; a negative slope swaps its ends.
        shifted = film(UNSIGNED, RescaleSlope="2", RescaleIntercept="-1024")
        np.testing.assert_allclose(shifted.pixels_HW, UNSIGNED / 4095, atol=1e-6)
        negative = film(UNSIGNED, RescaleSlope="-1", RescaleIntercept="4095")
        np.testing.assert_allclose(negative.pixels_HW, 1 - UNSIGNED / 4095, atol=1e-6)
        assert not negative.inverted  # the data's own, not the presentation's


class TestPolarity:
    @pytest.mark.parametrize(
        ("photometric", "shape", "inverted"),
        [
            ("MONOCHROME2", None, False),
            ("MONOCHROME2", "IDENTITY", False),
            ("MONOCHROME2", "INVERSE", True),
            ("MONOCHROME1", None, True),
            ("MONOCHROME1", "INVERSE", True),  # once, not twice
            ("MONOCHROME1", "IDENTITY", True),
        ],
    )
    def test_a_film_is_inverted_at_most_once(self, film, photometric, shape, inverted):
        tags = {"PresentationLUTShape": shape} if shape else {}
        read = film(UNSIGNED, PhotometricInterpretation=photometric, **tags)
        plain = UNSIGNED / 4095
        np.testing.assert_allclose(read.pixels_HW, 1 - plain if inverted else plain, atol=1e-6)
        assert (read.inverted, read.photometric) == (inverted, photometric)

    def test_inversion_comes_after_the_window(self, film):
        # Values 0, 2000, 4095 in a window of 0 to 1000: all but the first are white, so black once inverted.
        # Inverted before, the window would see 4095, 2095, 0.
        values = np.array([[0, 2000, 4095]], np.uint16)
        read = film(
            values,
            PhotometricInterpretation="MONOCHROME1",
            WindowCenter="500",
            WindowWidth="1000",
            VOILUTFunction="LINEAR_EXACT",
        )
        np.testing.assert_allclose(read.pixels_HW, [[1, 0, 0]], atol=1e-6)

    def test_an_unknown_shape_is_refused(self, film):
        with pytest.raises(ImageError, match="Presentation LUT Shape is 'LIN OD'"):
            film(UNSIGNED, PresentationLUTShape="LIN OD")


class TestWindows:
    def test_linear_follows_its_formula(self, film):
        # PS3.3 C.11.2.1.2.1, c = 2048, w = 1024: ((x - 2047.5) / 1023 + .5) from 1536 to 2559
        values = np.array([[1535, 1536, 1537, 2048], [2558, 2559, 2560, 4095]], np.uint16)
        read = film(values, WindowCenter="2048", WindowWidth="1024")
        expected = [[0, 0, 1 / 1023, 512 / 1023], [1022 / 1023, 1, 1, 1]]
        np.testing.assert_allclose(read.pixels_HW, expected, atol=1e-6)
        assert read.window == "VOI window 1 of 1 (center 2048, width 1024, LINEAR)"

    def test_linear_exact_follows_its_formula(self, film):
        # C.11.2.1.3.2: (x - 2048) / 1024 + .5 from 1536 to 2560
        values = np.array([[1535, 1536, 1792], [2304, 2559, 2560]], np.uint16)
        read = film(values, WindowCenter="2048", WindowWidth="1024", VOILUTFunction="LINEAR_EXACT")
        np.testing.assert_allclose(read.pixels_HW, [[0, 0, 0.25], [0.75, 1023 / 1024, 1]], atol=1e-6)

    def test_sigmoid_follows_its_formula(self, film):
        # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)): half at c, 1 / (1 + e^-2) half a width above
        values = np.array([[2048, 2560], [1536, 4095]], np.uint16)
        read = film(values, WindowCenter="2048", WindowWidth="1024", VOILUTFunction="SIGMOID")
        half = 1 / (1 + math.exp(-2))
        np.testing.assert_allclose(
            read.pixels_HW, [[0.5, half], [1 - half, 1 / (1 + math.exp(-4 * 2047 / 1024))]], atol=1e-6
        )

    def test_a_linear_width_of_1_is_a_threshold(self, film):
        # C.11.2.1.2.1: x <= c - .5 is black, x > c - .5 - 0 is white
        read = film(np.array([[1999, 2000, 2001]], np.uint16), WindowCenter="2000", WindowWidth="1")
        np.testing.assert_array_equal(read.pixels_HW, [[0, 1, 1]])

    def test_windows_speak_of_rescaled_values(self, film):
        # 2 x - 1000: stored 500 and 1000 are 0 and 1000
        values = np.array([[0, 500, 750, 1000]], np.uint16)
        read = film(
            values,
            RescaleSlope="2",
            RescaleIntercept="-1000",
            WindowCenter="500",
            WindowWidth="1000",
            VOILUTFunction="LINEAR_EXACT",
        )
        np.testing.assert_allclose(read.pixels_HW, [[0, 0, 0.5, 1]], atol=1e-6)

    def test_signed_values_and_8_bits_have_windows_too(self, film):
        signed = film(SIGNED, WindowCenter="0", WindowWidth="2000", VOILUTFunction="LINEAR_EXACT")
        np.testing.assert_allclose(signed.pixels_HW, np.clip(SIGNED / 2000 + 0.5, 0, 1), atol=1e-6)
        byte = np.array([[0, 64, 128, 255]], np.uint8)
        windowed = film(byte, bits=8, WindowCenter="128", WindowWidth="128", VOILUTFunction="LINEAR_EXACT")
        np.testing.assert_allclose(windowed.pixels_HW, [[0, 0, 0.5, 1]], atol=1e-6)

    def test_window_index_picks_one_of_several(self, film):
        windows = {"WindowCenter": ["1000", "2000"], "WindowWidth": ["2000", "4000"], "VOILUTFunction": "LINEAR_EXACT"}
        np.testing.assert_allclose(film(UNSIGNED, **windows).pixels_HW, np.clip(UNSIGNED / 2000, 0, 1), atol=1e-6)
        second = film(UNSIGNED, window_index=1, **windows)
        np.testing.assert_allclose(second.pixels_HW, np.clip(UNSIGNED / 4000, 0, 1), atol=1e-6)
        assert second.window == "VOI window 2 of 2 (center 2000, width 4000, LINEAR_EXACT)"
        with pytest.raises(ImageError, match="window_index is 2, and there are 2 of kind window"):
            film(UNSIGNED, window_index=2, **windows)

    def test_voi_false_keeps_the_full_range(self, film):
        read = film(UNSIGNED, voi=False, WindowCenter="500", WindowWidth="100")
        np.testing.assert_allclose(read.pixels_HW, UNSIGNED / 4095, rtol=1e-6)
        assert read.window == "full range"
        with pytest.raises(ValueError, match="window_index is 1 and voi False"):
            film(UNSIGNED, voi=False, window_index=1)

    @pytest.mark.parametrize(
        ("tags", "message"),
        [
            ({"WindowWidth": "0.5"}, r"Window Width is 0\.5; LINEAR needs one at least 1"),
            ({"WindowWidth": "0"}, "Window Width is 0; LINEAR needs"),
            ({"WindowWidth": "0", "VOILUTFunction": "SIGMOID"}, "SIGMOID needs one above 0"),
            ({"WindowWidth": "-5", "VOILUTFunction": "LINEAR_EXACT"}, "LINEAR_EXACT needs one above 0"),
            ({"WindowWidth": "9", "VOILUTFunction": "CUBIC"}, "VOI LUT Function is 'CUBIC'"),
            ({"WindowWidth": ["9", "8"]}, "Window Center has 1 values and Window Width 2"),
            ({"RescaleSlope": "2"}, r"Rescale Slope is \[2.0\] and Rescale Intercept absent"),
            ({"RescaleSlope": "0", "RescaleIntercept": "1"}, r"Rescale Slope is \[0.0\]"),
        ],
    )
    def test_what_the_standard_forbids_is_named(self, film, tags, message):
        with pytest.raises(ImageError, match=message):
            film(UNSIGNED, WindowCenter="2000", **tags)

    def test_an_empty_window_is_no_window(self, film):
        assert film(UNSIGNED, WindowCenter="", WindowWidth="").window == "full range"


class TestLuts:
    def test_a_modality_lut_replaces_rescale_and_clamps_at_its_ends(self, film):
        # 4 entries from stored value 1000: 999 and below give the first, 1003 and above the last
        values = np.array([[0, 1000, 1001], [1002, 1003, 4095]], np.uint16)
        read = film(
            values, RescaleSlope="9", RescaleIntercept="9", ModalityLUTSequence=[lut([10, 200, 30, 255], 1000, 8)]
        )
        np.testing.assert_allclose(read.pixels_HW, np.array([[10, 10, 200], [30, 255, 255]]) / 255, atol=1e-6)

    def test_a_voi_lut_comes_before_a_window_and_its_bits_set_the_ends(self, film):
        values = np.array([[0, 1, 2, 3]], np.uint16)
        tags = {"VOILUTSequence": [lut([0, 100, 500, 1023], 0, 10)], "WindowCenter": "1", "WindowWidth": "2"}
        read = film(values, **tags)
        np.testing.assert_allclose(read.pixels_HW, np.array([[0, 100, 500, 1023]]) / 1023, atol=1e-6)
        assert read.window == "VOI LUT 1 of 1"

    def test_window_index_picks_one_of_several_luts(self, film):
        luts = [lut([0, 255], 0, 8), lut([255, 0], 0, 8)]
        values = np.array([[0, 1]], np.uint16)
        np.testing.assert_array_equal(film(values, VOILUTSequence=luts, window_index=1).pixels_HW, [[1, 0]])
        with pytest.raises(ImageError, match="window_index is 2, and there are 2 of kind VOI LUT"):
            film(values, VOILUTSequence=luts, window_index=2)

    def test_65536_entries_are_declared_as_0(self, film):
        entries = np.arange(65536)[::-1]
        values = np.array([[0, 1, 65535]], np.uint16)
        read = film(values, bits=16, VOILUTSequence=[lut(entries, 0, 16)])
        np.testing.assert_allclose(read.pixels_HW, [[1, 65534 / 65535, 0]], atol=1e-7)

    def test_the_first_value_is_signed_where_the_values_are(self, film):
        values = np.array([[-2, -1, 0, 1]], np.int16)
        read = film(values, VOILUTSequence=[lut([0, 50, 200], -1, 8)])
        np.testing.assert_allclose(read.pixels_HW, np.array([[0, 0, 50, 200]]) / 255, atol=1e-6)
        item = lut([0, 50, 200], 0xFFFF, 8)  # -1 with a VR of US, as some write it
        np.testing.assert_array_equal(film(values, VOILUTSequence=[item]).pixels_HW, read.pixels_HW)

    def test_the_first_value_is_unsigned_where_rescale_leaves_none_negative(self, film):
        values = np.array([[39999, 40000, 40001]], np.uint16)
        read = film(values, bits=16, VOILUTSequence=[lut([0, 255], 40000, 8)])
        np.testing.assert_array_equal(read.pixels_HW, [[0, 0, 1]])

    @pytest.mark.parametrize("as_bytes", ["<u2", "u1"])
    def test_lut_data_may_be_bytes_of_words_or_packed(self, film, as_bytes):
        values = np.array([[0, 1, 2, 3]], np.uint16)
        read = film(values, VOILUTSequence=[lut([7, 0, 255, 130], 0, 8, as_bytes=as_bytes)])
        np.testing.assert_allclose(read.pixels_HW, np.array([[7, 0, 255, 130]]) / 255, atol=1e-6)

    def test_a_presentation_lut_comes_last(self, film):
        # Window 0 to 4, then a LUT of 5 entries over its output: 0, .25, .5, .75, 1
        values = np.array([[0, 1, 2, 3, 4]], np.uint16)
        tags = {"WindowCenter": "2", "WindowWidth": "4", "VOILUTFunction": "LINEAR_EXACT"}
        tags["PresentationLUTSequence"] = [lut([0, 1023, 10, 500, 200], 0, 10)]
        np.testing.assert_allclose(
            film(values, **tags).pixels_HW, np.array([[0, 1023, 10, 500, 200]]) / 1023, atol=1e-6
        )
        with pytest.raises(ImageError, match="leave open whether to invert"):
            film(values, PhotometricInterpretation="MONOCHROME1", **tags)

    def test_a_broken_lut_is_named(self, film):
        short = lut([1, 2, 3], 0, 8)
        short.LUTDescriptor = [9, 0, 8]
        with pytest.raises(ImageError, match="VOILUTSequence has 3 entries of the 9 it declares"):
            film(UNSIGNED, VOILUTSequence=[short])
        with pytest.raises(ImageError, match="an entry of 300, more than its 8 bits hold"):
            film(UNSIGNED, VOILUTSequence=[lut([1, 300, 2], 0, 8, as_bytes="<u2")])
        bare = lut([1, 2, 3], 0, 8)
        del bare.LUTData
        with pytest.raises(ImageError, match="ModalityLUTSequence lacks"):
            film(UNSIGNED, ModalityLUTSequence=[bare])

    @pytest.mark.parametrize("name", ["mlut_18.dcm", "vlut_04.dcm"])
    def test_real_luts_agree_with_pydicom(self, name, tmp_path):
        if not (DATA / name).exists():
            pytest.skip(f"shared data is not here: {name}")
        dataset = pydicom.dcmread(DATA / name)
        dataset.Modality = "CR"  # a test pattern of modality OT
        read = read_film(write_dicom(tmp_path / name, dataset=dataset))
        by_pydicom = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
        np.testing.assert_allclose(read.pixels_HW, by_pydicom / 65535, atol=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bits=st.integers(8, 16),
    signed=st.booleans(),
    slope=st.sampled_from([0.5, 1, 3, -1]),
    intercept=st.integers(-3000, 3000),
    center=st.integers(-4000, 40000),
    width=st.integers(2, 70000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    seed=st.integers(0, 99),
)
def test_any_window_agrees_with_pydicom(tmp_path, bits, signed, slope, intercept, center, width, function, seed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    values = np.random.default_rng(seed).integers(low, high, (4, 16)).astype(np.int16 if signed else np.uint16)
    tags = {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept), "VOILUTFunction": function}
    dataset = radiograph(values, bits=bits, WindowCenter=str(center), WindowWidth=str(width), **tags)
    by_pydicom = apply_voi_lut(apply_modality_lut(values, dataset), dataset)
    ends = sorted(slope * end + intercept for end in (low, high - 1))
    expected = (by_pydicom - ends[0]) / (ends[1] - ends[0])
    if slope < 0:  # pydicom's output range runs backwards then; a window's does not (C.11.2.1.2.1: ymin to ymax)
        expected = 1 - expected
    if np.ptp(expected[::8, ::8]) == 0 and np.ptp(expected) < 1e-6:
        return  # blank, and refused
    read = read_film(write_dicom(tmp_path / "film.dcm", dataset=dataset))
    np.testing.assert_allclose(read.pixels_HW, expected, atol=2e-6)
