"""The pictures show what the encoder was fed and what it made of it, and say what was left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, map_to_tokens
from encoders.plot import canvas, similarity, write_plots
from encoders.plot.contact_sheet import describe
from encoders.plot.pca_maps import colors_of, principal_components
from encoders.plot.shown import default_layers, show_films
from encoders.preprocessing.prepare import prepare
from encoders.preprocessing.recipe import load_recipe
from encoders.registry import encoder_spec
from studies.images import Film

SIZE = 96


class Patchwork(Encoder):
    """Layer k is a fixed random projection of 8-px patches, 4-px ones in layer 0; no learning, no meaning."""

    def __init__(self, num_layers: int = 4) -> None:
        super().__init__()
        self.spec = replace(encoder_spec("rad_dino"), title="Patchwork")
        self.recipe = load_recipe("rad_dino").at(SIZE)
        self.image_size_px, self.num_layers, self.default_stride_px = SIZE, num_layers, 8
        self.pooling, self.global_width, self.token_width, self.token_grid = Pooling.MEAN, 24, 24, (12, 12)
        self.grids, self.widths = {8: (12, 12)}, {8: 24}
        self.strides = [4, *[8] * (num_layers - 1)]
        torch.manual_seed(5)
        self.convs = nn.ModuleList(nn.Conv2d(3, 24, stride, stride) for stride in self.strides)

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        maps = [conv(pixels_BCHW) for conv in self.convs]
        kept = {k: FeatureMap(maps[k], k, self.strides[k], Norm.NONE) for k in layers}
        tokens_BND = map_to_tokens(maps[-1])
        last = FeatureMap(maps[-1], self.num_layers - 1, 8, Norm.NONE)
        return Features(
            global_BD=tokens_BND.mean(1),
            pooling=Pooling.MEAN,
            tokens_BND=tokens_BND,
            tokens_norm=Norm.NONE,
            default_stride_px=8,
            maps={8: last},
            kept=kept,
            num_layers=self.num_layers,
        )


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Patchwork().eval()


def film(seed: int, name: str = "film.png") -> Film:
    """A bright square on noise, 120 rows and 150 columns."""
    pixels_HW = np.random.default_rng(seed).uniform(0.2, 0.5, (120, 150)).astype(np.float32)
    pixels_HW[20:60, 30:80] = 0.9
    return Film(Path(name), pixels_HW, 8, "png", "L", inverted=False, window="full range")


def films(count: int) -> list[tuple[str, Film]]:
    return [(f"ward/film{seed}.png", film(seed)) for seed in range(count)]


def test_four_layers_at_even_distances_end_at_the_last() -> None:
    assert default_layers(12) == [2, 5, 8, 11]
    assert default_layers(24) == [5, 11, 17, 23]
    assert default_layers(4) == [0, 1, 2, 3]
    assert default_layers(2) == [0, 1]


def test_all_pictures_are_written_and_overwritten(encoder: Encoder, tmp_path: Path) -> None:
    paths = write_plots(tmp_path, encoder, films(2))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "plots/contact_sheet.png",
        "plots/pca.png",
        "plots/similarity.html",
        "plots/similarity.png",
    ]
    before = [path.read_bytes() for path in paths]
    assert write_plots(tmp_path, encoder, films(2)) == paths
    assert [path.read_bytes() for path in paths] == before  # the same films give the same files
    write_plots(tmp_path, encoder, films(3))
    assert all(path.read_bytes() != old for path, old in zip(paths[:3], before, strict=False))


def test_the_contact_sheet_shows_the_input_itself(encoder: Encoder, tmp_path: Path) -> None:
    one = film(1)
    write_plots(tmp_path, encoder, [("a.png", one)])
    sheet = np.asarray(Image.open(tmp_path / "plots/contact_sheet.png").convert("L"), dtype=float)
    pixels_CHW = prepare(one, encoder.recipe, skip_guards=["polarity"])
    levels_HW = (pixels_CHW[0] * 0.2583 + 0.5307) * 255  # RAD-DINO's normalisation undone by hand
    cell = sheet[64 : 64 + 300, 16 : 16 + 300]
    shown = np.asarray(Image.fromarray(cell.astype(np.float32)).resize((SIZE, SIZE), Image.Resampling.BOX))
    assert np.corrcoef(shown.ravel(), levels_HW.ravel())[0, 1] > 0.97
    assert np.corrcoef(shown[:, ::-1].ravel(), levels_HW.ravel())[0, 1] < 0.9


def test_a_film_is_described_with_its_view_window_and_inversion(encoder: Encoder) -> None:
    dicom = replace(film(1), kind="dicom", bits=12, photometric="MONOCHROME1", inverted=True, view="AP", window="VOI 1")
    valid_HW = np.ones((120, 150), dtype=bool)
    valid_HW[:12, :30] = False  # 360 of 18,000 pixels
    shown = show_films(encoder, [("ward/x.dcm", dicom), ("y.png", replace(film(2), valid_HW=valid_HW))])
    assert describe(shown[0]) == ("x.dcm", "AP, 150 x 120 px, 12-bit DICOM", "VOI 1; MONOCHROME1 inverted once")
    assert describe(shown[1])[1].startswith("view not given, ")
    assert describe(shown[1])[2] == "full range; L not inverted; 2.0% left out of statistics"


def test_layers_can_be_chosen(encoder: Encoder, tmp_path: Path) -> None:
    write_plots(tmp_path, encoder, films(1), layers=[1, -1])
    page = (tmp_path / "plots/similarity.html").read_text("utf-8")
    assert '"title": "layer 1"' in page
    assert '"title": "layer 3"' in page
    assert '"title": "layer 2"' not in page
    with pytest.raises(ValueError, match="layers 0 to 3"):
        write_plots(tmp_path, encoder, films(1), layers=[4])
    with pytest.raises(ValueError, match="no layer"):
        write_plots(tmp_path, encoder, films(1), layers=[])


def test_nothing_to_plot_and_an_encoder_in_training_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no film"):
        write_plots(tmp_path, Patchwork().eval(), [])
    with pytest.raises(ValueError, match="training mode"):
        write_plots(tmp_path, Patchwork().train(), films(1))


def test_a_negative_is_shown_and_not_refused(encoder: Encoder) -> None:
    # The encoder was fed it, so it has to be seen; guards are for encoding.
    shown = show_films(encoder, [("flat.png", replace(film(1), pixels_HW=np.full((120, 150), 0.5, np.float32)))])
    assert shown[0].levels_HW.min() == shown[0].levels_HW.max() == 128


def test_maps_finer_than_40_are_averaged_and_it_is_said() -> None:
    fine = Patchwork()
    fine.convs[0], fine.strides[0] = nn.Conv2d(3, 5, 2, 2), 2  # 48 x 48 places
    one = show_films(fine.eval(), films(1))[0]
    with torch.no_grad():
        whole = fine.convs[0](torch.from_numpy(prepare(film(0), fine.recipe, skip_guards=["polarity"]))[None])[0]
    by_hand = whole.reshape(5, 24, 2, 24, 2).mean((2, 4)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(one.layers[0].features_HWD, by_hand, atol=1e-6)
    assert one.layers[0].note == "24 x 24 patches, averaged from 48 x 48, width 5"
    assert one.layers[1].note == "12 x 12 patches, width 24"


def test_principal_components_are_those_of_an_svd_with_the_largest_loading_positive() -> None:
    rng = np.random.default_rng(2)
    features_ND = (rng.normal(size=(500, 20)) * np.linspace(3, 0.1, 20) + 7).astype(np.float32)
    found = principal_components(features_ND)
    centred = features_ND.astype(float) - features_ND.astype(float).mean(0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    for k in range(3):
        sign = np.sign(vt[k, np.abs(vt[k]).argmax()])
        np.testing.assert_allclose(found.scores_N3[:, k], sign * u[:, k] * s[k], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.explained_3, (s**2 / (s**2).sum())[:3], rtol=1e-4)
    shuffled = rng.permutation(500)  # the order of patches changes no colour
    np.testing.assert_allclose(
        principal_components(features_ND[shuffled]).scores_N3, found.scores_N3[shuffled], rtol=1e-3, atol=1e-3
    )


def test_components_that_do_not_exist_are_grey_and_explain_nothing() -> None:
    line = np.outer(np.arange(10), [1.0, 2.0]).astype(np.float32)
    found = principal_components(line)
    np.testing.assert_allclose(found.explained_3, [1, 0, 0], atol=1e-9)
    assert (colors_of(found.scores_N3)[:, 1:] == 128).all()
    flat = principal_components(np.ones((10, 4), np.float32))
    assert flat.explained_3.tolist() == [0, 0, 0]


def test_colours_run_from_percentile_1_to_99() -> None:
    scores = np.stack([np.arange(101.0), np.zeros(101), np.arange(101.0)[::-1]], axis=1)
    colors = colors_of(scores)
    # Percentiles 1 and 99 of 0..100 are 1 and 99; the middle, 50, is half way: 127.5 rounds to the even 128.
    assert colors[1, 0] == 0
    assert colors[99, 0] == 255
    assert colors[50].tolist() == [128, 128, 128]


@pytest.mark.parametrize("outlier", [1.0, 40.0])
def test_eight_bits_change_a_cosine_by_less_than_2_percent(outlier: float) -> None:
    features_ND = np.random.default_rng(0).normal(size=(300, 768)).astype(np.float32)
    features_ND[:, 7] *= outlier  # one dimension far larger than the others, as some encoders have
    small_ND = similarity.quantize(features_ND).astype(float)
    exact = features_ND @ features_ND.T / np.outer(*[np.linalg.norm(features_ND, axis=1)] * 2)
    rounded = small_ND @ small_ND.T / np.outer(*[np.linalg.norm(small_ND, axis=1)] * 2)
    worst = np.abs(exact - rounded).max()
    assert worst < 0.02
    assert similarity.rounding_error(features_ND, probes=300) == pytest.approx(worst, abs=1e-5)


def test_cosines_of_a_patch_without_length_are_0() -> None:
    features_ND = np.array([[1, 0], [0, 0], [3, 3], [-2, 0]], np.float32)
    np.testing.assert_allclose(similarity.cosines(features_ND, 0), [1, 0, 0.5**0.5, -1], atol=1e-6)
    assert similarity.cosines(features_ND, 1).tolist() == [0, 0, 0, 0]


def test_a_page_too_large_holds_fewer_films_and_says_so(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plots(tmp_path, encoder, films(3))
    page = tmp_path / "plots/similarity.html"
    full = page.stat().st_size
    assert "first" not in page.read_text("utf-8").partition("<div")[0]
    # A film is 24 * (24 * 24 + 3 * 12 * 12) feature bytes and 96 * 96 of picture, a third more as text: 44,544 bytes.
    monkeypatch.setattr(similarity, "MAX_PAGE_BYTES", 60_000 + 2 * 44_600)
    write_plots(tmp_path, encoder, films(3))
    assert "the first 2 of 3 films" in page.read_text("utf-8")
    assert page.stat().st_size < min(full, similarity.MAX_PAGE_BYTES)
    monkeypatch.setattr(similarity, "MAX_PAGE_BYTES", 80_000)
    with pytest.raises(ValueError, match="ask for fewer layers"):
        write_plots(tmp_path, encoder, films(3))


def test_the_static_picture_marks_the_middle_patch(encoder: Encoder, tmp_path: Path) -> None:
    write_plots(tmp_path, encoder, films(1))
    picture = np.asarray(Image.open(tmp_path / "plots/similarity.png").convert("RGB")).astype(int)
    red = (picture[..., 0] > 200) & (picture[..., 1] < 60) & (picture[..., 2] < 60)
    # The last column is a layer of 12 x 12 patches on 300 px: patch (6, 6) is 25 px wide and starts at 150.
    left = 12 + 4 * 312
    rows, columns = np.nonzero(red[:, left : left + 300])
    assert (rows.min() - 64, rows.max() - 64) == (150, 175)
    assert (columns.min(), columns.max()) == (150, 175)


def luminance(color: NDArray[np.uint8]) -> NDArray[np.float64]:
    return color @ np.array([0.2126, 0.7152, 0.0722])


def test_the_colours_of_a_map_only_get_lighter() -> None:
    colors = canvas.viridis(np.linspace(0, 1, 200, dtype=np.float32))
    assert tuple(colors[0]) == (0x44, 0x01, 0x54)
    assert tuple(colors[-1]) == (0xFD, 0xE7, 0x25)
    assert (np.diff(luminance(colors)) > -0.5).all()
    assert canvas.viridis(np.float32([-1, 2])).tolist() == [list(colors[0]), list(colors[-1])]


def test_a_long_name_keeps_its_ends_and_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pen = canvas.sheet(200, 30)
    seen: list[str] = []
    monkeypatch.setattr(pen, "text", lambda _at, text, **_more: seen.append(text))
    canvas.write(pen, (0, 0), "a" * 40 + "middle" + "z" * 40, size_px=14, room_px=120)
    assert seen[0].startswith("aaa")
    assert seen[0].endswith("zzz")
    assert "..." in seen[0]
    assert pen.textlength(seen[0], font=canvas.font(14)) <= 120
