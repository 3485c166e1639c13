"""PNG and JPEG films, burned-in boxes, and files that are no film."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from studies.burned_in import find_burned_in
from studies.images import ImageError, read_film
from tests.studies.dicom_files import write_dicom

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "images"


def chest(height=120, width=90):
    rows, columns = np.mgrid[:height, :width]
    return np.rint((np.sin(rows / 19) + np.cos(columns / 17) + 2) / 4 * 250).astype(np.uint8)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values_HW, depth, colour_type=0, *, more=b""):
    """A PNG by hand, of rows that are packed already: bytes of H,W."""
    height, width = values_HW.shape[0], values_HW.shape[1] * 8 // depth
    if colour_type == 2:
        width //= 3
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values_HW)
    chunks = png_chunk(b"IHDR", header) + more + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.fixture
def film(tmp_path):
    def read(content, **options):
        path = tmp_path / "film"  # no suffix: the content tells
        if isinstance(content, Image.Image):
            content.save(path, "PNG")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path, "PNG")
        return read_film(path, **options)

    return read


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


class TestPng:
    def test_8_bits_come_back_exactly(self, film):
        values = np.arange(256, dtype=np.uint8).reshape(16, 16)
        read = film(values)
        assert read.pixels_HW.dtype == np.float32
        np.testing.assert_array_equal(read.pixels_HW, values.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(np.rint(read.pixels_HW * 255), values)
        assert (read.bits, read.kind, read.photometric, read.window) == (8, "png", "L", "full range")
        assert (read.inverted, read.valid_HW, read.view, read.derived, read.spacing_mm) == (
            False,
            None,
            None,
            None,
            None,
        )

    def test_16_bits_keep_all_their_values(self, film):
        # Pillow's convert("L") gives 255 for all of these but the first.
        values = np.array([[0, 256, 30000], [30001, 65534, 65535]], np.uint16)
        read = film(values)
        np.testing.assert_allclose(read.pixels_HW, values / 65535, rtol=1e-6)
        assert np.unique(read.pixels_HW).size == 6
        assert read.bits == 16

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_values_are_those_that_pillow_reads(self, film, dtype):
        values = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (61, 47), endpoint=True).astype(dtype)
        picture = Image.fromarray(values)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        pillows = np.asarray(Image.open(buffer)) / np.float32(np.iinfo(dtype).max)
        np.testing.assert_array_equal(film(picture).pixels_HW, pillows.astype(np.float32))

    def test_a_turned_png_is_turned_back(self, tmp_path):
        turned = Image.Exif()
        turned[0x0112] = 3  # EXIF orientation: upside down
        Image.fromarray(chest()).save(tmp_path / "film.png", exif=turned)
        np.testing.assert_array_equal(np.rint(read_film(tmp_path / "film.png").pixels_HW * 255), chest()[::-1, ::-1])

    def test_a_wrong_byte_in_the_pixels_is_an_error(self, film):
        buffer = io.BytesIO()
        Image.fromarray(chest()).save(buffer, "PNG")
        broken = bytearray(buffer.getvalue())
        broken[broken.index(b"IDAT") + 200] ^= 0xFF
        with pytest.raises(ImageError, match="broken or truncated PNG"):
            film(bytes(broken))

    def test_2_and_4_bits_reach_from_0_to_1(self, film):
        two = film(png(np.array([[0b00011011]], np.uint8), 2))
        np.testing.assert_allclose(two.pixels_HW, [[0, 1 / 3, 2 / 3, 1]], atol=1e-6)
        four = film(png(np.array([[0x0F, 0x5A]], np.uint8), 4))
        np.testing.assert_allclose(four.pixels_HW, [[0, 1, 5 / 15, 10 / 15]], atol=1e-6)
        assert (two.bits, four.bits) == (2, 4)

    def test_1_bit_is_a_mask(self, film):
        with pytest.raises(ImageError, match="1 bit a pixel: a mask"):
            film(png(np.array([[0b00011011]], np.uint8), 1))

    def test_16_bit_colour_is_refused_as_pillow_would_halve_its_depth(self, film):
        with pytest.raises(ImageError, match="colour of 16 bits"):
            film(png(np.zeros((2, 12), np.uint8), 16, colour_type=2))

    def test_grey_saved_as_colour_or_palette_is_grey(self, film):
        grey = chest()
        plain = film(grey).pixels_HW
        for mode in ("RGB", "P"):
            read = film(Image.fromarray(grey).convert(mode))
            np.testing.assert_array_equal(read.pixels_HW, plain)
            assert read.photometric == mode

    def test_colour_is_refused(self, film):
        colour = np.repeat(chest()[..., None], 3, axis=2)
        colour[5, 6, 2] ^= 16
        with pytest.raises(ImageError, match="coloured: its channels differ by up to 16 of 255"):
            film(colour)
        colour[5, 6] = [100, 104, 106]  # was lossy once
        assert film(colour).pixels_HW[5, 6] == np.float32(103) / np.float32(255)

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_alpha_must_be_opaque(self, film, mode):
        image = Image.fromarray(chest()).convert(mode)
        np.testing.assert_array_equal(film(image).pixels_HW, film(chest()).pixels_HW)
        image.putpixel((3, 4), (9, 7) if mode == "LA" else (9, 9, 9, 7))
        with pytest.raises(ImageError, match=r"transparent in places .alpha down to 7 of 255"):
            film(image)

    def test_a_transparent_grey_is_transparent(self, film):
        clear = png_chunk(b"tRNS", struct.pack(">H", 20))
        values = np.array([[20, 21, 200]], np.uint8)
        with pytest.raises(ImageError, match="alpha down to 0"):
            film(png(values, 8, more=clear))
        assert film(png(values + 1, 8, more=clear)).pixels_HW.shape == (1, 3)

    def test_an_animation_is_refused(self, tmp_path):
        frames = [Image.fromarray(chest()), Image.fromarray(chest()[::-1].copy())]
        frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match="2 frames"):
            read_film(tmp_path / "a.png")

    def test_windows_are_dicoms(self, film):
        with pytest.raises(ImageError, match="has no windows; window_index is 1"):
            film(chest(), window_index=1)
        with pytest.raises(ValueError, match="window_index is -1"):
            film(chest(), window_index=-1)


class TestJpeg:
    def test_grey_is_what_pillow_decodes(self, film):
        content = jpeg(Image.fromarray(chest()), quality=95)
        read = film(content)
        np.testing.assert_array_equal(np.rint(read.pixels_HW * 255), np.asarray(Image.open(io.BytesIO(content))))
        assert (read.kind, read.bits) == ("jpeg", 8)

    def test_grey_saved_as_colour_is_grey(self, film):
        read = film(jpeg(Image.fromarray(chest()).convert("RGB"), quality=95))
        assert np.abs(read.pixels_HW * 255 - chest()).max() < 4
        assert read.photometric == "RGB"

    def test_a_photograph_and_print_colours_are_refused(self, film):
        colour = np.stack([chest(), chest()[::-1], chest()[:, ::-1]], axis=2)
        with pytest.raises(ImageError, match="coloured"):
            film(jpeg(Image.fromarray(colour)))
        with pytest.raises(ImageError, match="CMYK"):
            film(jpeg(Image.fromarray(colour).convert("CMYK")))

    def test_exif_orientation_is_applied(self, film):
        exif = Image.Exif()
        exif[0x0112] = 6  # stored lying on its left side: to be turned clockwise
        image = Image.fromarray(chest())
        upright = film(jpeg(image, quality=95)).pixels_HW
        np.testing.assert_array_equal(film(jpeg(image, quality=95, exif=exif)).pixels_HW, np.rot90(upright, -1))


class TestNoFilm:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"\0" * 5000, "is zeros: an unfinished copy"),
            (b"II*\0" + b"\1" * 200, "a TIFF"),
            (b"GIF89a" + b"\1" * 200, "a GIF"),
            (b"<!DOCTYPE html>" + b" " * 200, "is text"),
            (b"\x1f\x8b" + b"\1" * 200, "a gzip file"),
            (b"\x30\x82" + b"\1" * 200, "an encrypted file"),
            (b"\x93NUMPY" + b"\1" * 200, r"no image that is known here .it begins with 93 4e 55 4d"),
            (b"\0" * 128 + b"DICM" + b"\1" * 9, "no integer pixel data"),
        ],
    )
    def test_the_message_says_what_it_is(self, film, tmp_path, content, message):
        with pytest.raises(ImageError, match=message) as caught:
            film(content)
        assert str(tmp_path / "film") in str(caught.value)

    def test_a_missing_file_and_a_folder(self, tmp_path):
        with pytest.raises(ImageError, match=r"none\.png cannot be read: No such file"):
            read_film(tmp_path / "none.png")
        with pytest.raises(ImageError, match="cannot be read: Is a directory"):
            read_film(tmp_path)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    @pytest.mark.parametrize("kept", [0.98, 0.5, 0.1, 0.0025])
    def test_truncated_files(self, film, kind, kept):
        buffer = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (90, 80), dtype=np.uint8)
        Image.fromarray(noise).save(buffer, kind)
        whole = buffer.getvalue()
        with pytest.raises(ImageError, match=f"broken or truncated {kind}"):
            film(whole[: int(len(whole) * kept)])

    def test_a_blank_film(self, film):
        with pytest.raises(ImageError, match="blank: every pixel is 1 of 1"):
            film(np.full((40, 40), 255, np.uint8))
        one = np.zeros((40, 40), np.uint8)
        one[3, 5] = 1  # between the pixels that are looked at first
        assert film(one).pixels_HW.max() > 0

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 10**6), changes=st.integers(1, 5), kind=st.sampled_from(["PNG", "JPEG"]))
    def test_a_corrupt_file_is_a_film_or_an_image_error(self, film, seed, changes, kind):
        buffer = io.BytesIO()
        Image.fromarray(chest(20, 20)).save(buffer, kind)
        data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
        chance = np.random.default_rng(seed)
        data[chance.integers(0, data.size, changes)] = chance.integers(0, 256, changes)
        try:
            read = film(data.tobytes())
        except ImageError:  # any other exception fails
            return
        assert 0 <= read.pixels_HW.min() < read.pixels_HW.max() <= 1


class TestBurnedIn:
    def unit(self, height=518, width=640):
        return (chest(height, width) / 300).astype(np.float32)

    @pytest.mark.parametrize(
        "box",
        [
            (slice(20, 30), slice(40, 140)),
            (slice(0, 40), slice(0, 200)),  # in a corner
            (slice(0, 12), slice(0, 640)),  # a strip from side to side
            (slice(400, 518), slice(600, 640)),
        ],
    )
    def test_a_box_is_found_to_the_pixel(self, box):
        pixels = self.unit()
        pixels[box] = 1
        expected = np.ones(pixels.shape, bool)
        expected[box] = False
        np.testing.assert_array_equal(find_burned_in(pixels), expected)

    def test_two_boxes_of_a_large_film_are_found(self):
        pixels = self.unit(2000, 1600)
        pixels[101:161, 57:400] = pixels[1801:1900, 900:1300] = 1
        valid = find_burned_in(pixels)
        assert (~valid).sum() == 60 * 343 + 99 * 400

    def test_a_box_need_not_be_the_largest_value_that_can_be(self):
        pixels = self.unit() * 0.5
        pixels[20:60, 40:140] = 0.7
        assert (~find_burned_in(pixels)).sum() == 40 * 100

    def test_a_box_survives_resizing_and_jpeg(self):
        pixels = self.unit(1036, 1280)
        pixels[40:100, 60:400] = 1
        picture = Image.fromarray((pixels * 255).astype(np.uint8)).resize((640, 518), Image.Resampling.BICUBIC)
        picture = Image.open(io.BytesIO(jpeg(picture, quality=92)))
        found = ~find_burned_in(np.asarray(picture, np.float32) / 255)
        assert found.sum() == pytest.approx(30 * 170, rel=0.08)

    def test_what_is_no_box(self):
        smooth = self.unit()
        assert find_burned_in(smooth) is None
        saturated = np.clip(smooth * 1.6, 0, 1)  # wide white regions with soft, round ends
        assert (saturated == 1).mean() > 0.1
        assert find_burned_in(saturated) is None
        small = self.unit()
        small[20:26, 40:240] = 1  # 6 rows: under 1.5 % of 518
        assert find_burned_in(small) is None
        letter = self.unit()
        letter[20:100, 40:55] = letter[85:100, 40:100] = 1  # an L marker
        assert find_burned_in(letter) is None
        plate = self.unit()
        plate[40:140, 40:300] = 0.97  # bright, but white only in its middle
        plate[80:100, 140:200] = 1
        assert find_burned_in(plate) is None
        rows, columns = np.mgrid[:518, :640]
        disc = self.unit()
        disc[(rows - 200) ** 2 + (columns - 200) ** 2 < 40**2] = 1
        assert find_burned_in(disc) is None
        ramp = self.unit()
        ramp[40:140, 40:300] = np.clip(np.linspace(0.5, 1.6, 260), 0, 1)  # soft on one side
        assert find_burned_in(ramp) is None

    def test_a_film_is_read_with_its_box_masked(self, film, tmp_path):
        values = chest(518, 518) // 2
        values[20:50, 40:240] = 255
        read = film(values)
        assert (~read.valid_HW).sum() == 30 * 200
        assert read.pixels_HW[30, 50] == 1  # the pixels stay
        # With padding besides, in a DICOM: neither counts
        stored = values.astype(np.uint16)
        stored[:, :10] = 0
        stored[:, 10:] |= 1
        path = write_dicom(tmp_path / "film.dcm", stored, bits=8, PixelPaddingValue=0)
        expected = read.valid_HW.copy()
        expected[:, :10] = False
        np.testing.assert_array_equal(read_film(path).valid_HW, expected)

    def test_real_films_have_none(self):
        paths = sorted((DATA / "png").glob("*"))
        if not paths:
            pytest.skip("shared data is not here: images/png")
        for path in paths:
            read = read_film(path)
            assert read.valid_HW is None, path.name
            assert find_burned_in(np.clip(read.pixels_HW * 1.5, 0, 1)) is None, path.name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="is a pipe or device, no file"):
        read_film(tmp_path / "pipe.png")
