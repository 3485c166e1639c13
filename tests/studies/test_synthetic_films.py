"""Synthetic films show what their facts say, where their masks and tips say it, the right way round."""

from dataclasses import replace

import numpy as np
import pytest

from studies.synthetic import Consolidation, Device, Effusion, Facts, Pneumothorax, make_study
from studies.synthetic.anatomy import Anatomy, draw_anatomy
from studies.synthetic.devices import KINDS, draw_device
from studies.synthetic.facts import EFFUSION_MM, HEART_RATIO, PNEUMOTHORAX_MM
from studies.synthetic.film import render

SIZE = 256


def film(facts, *, seed=5, anatomy=None, size_px=SIZE):
    """Without grain, so that two films differ by their facts alone."""
    return render(facts, anatomy or Anatomy(), size_px=size_px, noise=0.0, rng=np.random.default_rng(seed))


def at(drawn, x_mm, y_mm):
    """Mean brightness of 5 x 5 pixels around a place given in millimetres from the carina."""
    row = round(drawn.carina_px[0] + y_mm / drawn.spacing_mm)
    column = round(drawn.carina_px[1] + x_mm / drawn.spacing_mm)
    return float(drawn.pixels_HW[row - 2 : row + 3, column - 2 : column + 3].mean())


def near(mask_HW, reach):
    """Pixels within `reach` of the mask (a square), counted by hand rather than with the generator's own geometry."""
    padded = np.pad(mask_HW, reach)
    height, width = mask_HW.shape
    shifts = range(2 * reach + 1)
    return np.any([padded[r : r + height, c : c + width] for r in shifts for c in shifts], axis=0)


def any_tip(kind, tip):
    """A device of this kind with its tip at this place."""
    for seed in range(400):
        device = draw_device(kind, np.random.default_rng(seed), placement=tip.placement)
        if device.tip == tip.tip:
            return device
    raise AssertionError(f"{kind} never ends in {tip.tip}")


EVERY_TIP = sorted({(kind, tip.tip): (kind, tip) for kind, entry in KINDS.items() for tip in entry.tips}.items())


def test_one_seed_is_one_study_and_another_seed_another():
    first, again, other = make_study(7, size_px=128), make_study(7, size_px=128), make_study(8, size_px=128)
    np.testing.assert_array_equal(first.pixels_HW, again.pixels_HW)
    assert (first.report, first.labels, first.tips) == (again.report, again.labels, again.tips)
    assert all(np.array_equal(first.masks[name], again.masks[name]) for name in first.masks)
    assert first.report != other.report
    assert np.abs(first.pixels_HW - other.pixels_HW).mean() > 0.01


def test_pixels_are_float32_between_black_and_white():
    study = make_study(1, size_px=128)
    assert study.pixels_HW.dtype == np.float32
    assert study.pixels_HW.shape == (128, 128)
    assert study.pixels_HW.min() == 0.0  # the grain below black is cut
    assert 0.75 < study.pixels_HW.max() <= 1.0


def test_the_scene_is_the_same_at_every_size():
    small, large = (film(Facts(effusions=(Effusion("left", 90.0),)), size_px=size) for size in (128, 512))
    shrunk = large.pixels_HW.reshape(128, 4, 128, 4).mean((1, 3))
    assert np.abs(shrunk - small.pixels_HW).mean() < 0.01
    assert large.masks["effusion_left"].mean() == pytest.approx(small.masks["effusion_left"].mean(), rel=0.1)
    assert large.spacing_mm * 4 == pytest.approx(small.spacing_mm)


def test_noise_adds_grain_of_that_deviation():
    quiet, grainy = make_study(3, size_px=256, noise=0.0), make_study(3, size_px=256, noise=0.02)
    inside = (quiet.pixels_HW > 0.2) & (quiet.pixels_HW < 0.8)  # where nothing is cut
    assert (grainy.pixels_HW - quiet.pixels_HW)[inside].std() == pytest.approx(0.02, rel=0.1)


def test_the_patients_left_is_the_images_right():
    drawn = film(Facts())
    columns = np.arange(SIZE)
    assert (drawn.masks["heart"].sum(0) @ columns) / drawn.masks["heart"].sum() > drawn.carina_px[1] + 10
    assert drawn.masks["left_lung"].nonzero()[1].min() > drawn.masks["right_lung"].nonzero()[1].max()
    assert at(drawn, 30, -26) > at(drawn, -42, -26) + 0.1  # the aortic knob
    anatomy = Anatomy()
    bubble, liver = at(drawn, 66, anatomy.dome("left") + 24), at(drawn, -66, anatomy.dome("left") + 24)
    assert bubble < liver - 0.05  # air in the stomach
    corner = drawn.pixels_HW[: SIZE // 6, -SIZE // 6 :]
    mirrored = drawn.pixels_HW[: SIZE // 6, : SIZE // 6]
    assert corner.max() > 0.8 > mirrored.max() + 0.1  # the lead marker, in the corner of air


def test_brightness_is_a_films():
    drawn = film(Facts())
    lungs = drawn.pixels_HW[drawn.masks["left_lung"] | drawn.masks["right_lung"]]
    heart = drawn.pixels_HW[drawn.masks["heart"]]
    assert drawn.pixels_HW[:8, :8].max() < 0.02  # air beside the neck is black
    assert 0.1 < np.median(lungs) < 0.4
    assert 0.6 < np.median(heart) < 0.95
    assert at(drawn, -1, -60) < at(drawn, -14, -60) - 0.03  # the trachea is darker than the spine beside it


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("size", ["normal", "mild", "moderate", "severe"])
def test_the_cardiothoracic_ratio_can_be_measured_in_the_masks(view, size):
    ratio = HEART_RATIO[view][size][0]
    anatomy = draw_anatomy(np.random.default_rng(2))
    drawn = film(Facts(view=view, heart_ratio=ratio), anatomy=anatomy, size_px=512)
    heart = drawn.masks["heart"].any(0).nonzero()[0]
    thorax = (drawn.masks["left_lung"] | drawn.masks["right_lung"]).any(0).nonzero()[0]
    assert np.ptp(heart) / np.ptp(thorax) == pytest.approx(ratio, abs=0.012)
    assert (ratio > 0.5) == (size != "normal") or view == "AP"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", list(EFFUSION_MM))
def test_an_effusion_brightens_its_mask_and_nothing_else(side, size):
    height = EFFUSION_MM[size][1]
    with_it, without = film(Facts(effusions=(Effusion(side, height),))), film(Facts())
    mask = with_it.masks[f"effusion_{side}"]
    change = with_it.pixels_HW - without.pixels_HW
    assert change[mask].mean() > 0.10
    assert np.abs(change[~near(mask, 9)]).max() < 1e-6
    assert not (mask & ~near(with_it.masks[f"{side}_lung"] | with_it.masks["heart"], 1)).any()
    other = "right" if side == "left" else "left"
    assert f"effusion_{other}" not in with_it.masks


def test_the_fluid_stands_as_high_at_the_wall_as_the_facts_say():
    drawn = film(Facts(effusions=(Effusion("right", 90.0),)), size_px=512)
    rows = drawn.masks["effusion_right"].any(1).nonzero()[0]
    columns = drawn.masks["effusion_right"].any(0).nonzero()[0]
    angle_mm = Anatomy().angle("right")
    top_mm = (rows.min() - drawn.carina_px[0]) * drawn.spacing_mm
    assert top_mm >= angle_mm - 90.0 - 1
    assert top_mm == pytest.approx(angle_mm - 90.0, abs=12)  # the chest is a little narrower up there
    lateral = drawn.masks["effusion_right"][:, columns.min() + 6].nonzero()[0].min()
    medial = drawn.masks["effusion_right"][:, columns.min() + 90].nonzero()[0].min()
    assert lateral < medial - 10  # a meniscus: highest at the wall


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", list(PNEUMOTHORAX_MM))
def test_a_pneumothorax_is_dark_and_as_wide_at_the_apex_as_the_facts_say(side, size):
    gap = PNEUMOTHORAX_MM[size][1]
    with_it, without = film(Facts(pneumothoraces=(Pneumothorax(side, gap),)), size_px=512), film(Facts(), size_px=512)
    mask = with_it.masks[f"pneumothorax_{side}"]
    # with ribs and vessels in both films, air alone is darker in the mask's middle
    assert np.median((with_it.pixels_HW - without.pixels_HW)[mask]) < -0.005
    column = round(with_it.carina_px[1] + (40 if side == "left" else -40) / with_it.spacing_mm)
    field = with_it.masks[f"{side}_lung"][:, column].nonzero()[0].min()
    air = mask[:, column].nonzero()[0]
    depth_mm = (air.max() + 1 - field) * with_it.spacing_mm
    assert depth_mm == pytest.approx(gap, abs=7)  # measured downwards, 40 mm beside the midline


def test_no_vessel_runs_beyond_the_visceral_line():
    facts = Facts(pneumothoraces=(Pneumothorax("right", 60.0),))
    one, other = (film(facts, anatomy=Anatomy(vessels=(tree, 40))) for tree in (1, 2))
    inside = ~near(~one.masks["pneumothorax_right"], 3)
    lung = one.masks["right_lung"] & ~near(one.masks["pneumothorax_right"], 3)
    assert inside.sum() > 500
    assert np.abs(one.pixels_HW - other.pixels_HW)[inside].max() < 1e-6
    assert np.abs(one.pixels_HW - other.pixels_HW)[lung].max() > 0.02


@pytest.mark.parametrize("zone", ["upper", "middle", "lower"])
def test_a_consolidation_lies_in_its_third_of_the_lung(zone):
    with_it, without = film(Facts(consolidations=(Consolidation("right", zone),))), film(Facts())
    mask = with_it.masks[f"consolidation_right_{zone}"]
    assert (with_it.pixels_HW - without.pixels_HW)[mask].mean() > 0.12
    anatomy = Anatomy()
    middle_mm = (mask.nonzero()[0].mean() - with_it.carina_px[0]) * with_it.spacing_mm
    share = (middle_mm - anatomy.apex_mm) / (anatomy.dome("right") - anatomy.apex_mm)
    assert int(share * 3) == ["upper", "middle", "lower"].index(zone)


def test_edema_and_atelectasis_brighten_the_lungs():
    plain = film(Facts())
    lungs = plain.masks["left_lung"] | plain.masks["right_lung"]
    means = [film(Facts(edema_density=density)).pixels_HW[lungs].mean() for density in (0.25, 0.44, 0.68)]
    assert plain.pixels_HW[lungs].mean() < means[0] < means[1] < means[2]
    plates = film(Facts(atelectasis=("right",)))
    change = plates.pixels_HW - plain.pixels_HW
    assert change[plates.masks["atelectasis_right"]].mean() > 0.05
    assert np.abs(change[~near(plates.masks["atelectasis_right"], 4)]).max() < 1e-6


@pytest.mark.parametrize("name", [name for name, _ in EVERY_TIP], ids=lambda name: "-".join(name))
def test_every_device_is_seen_where_its_mask_says_and_ends_at_its_tip(name):
    kind, tip = dict(EVERY_TIP)[name]
    device = any_tip(kind, tip)
    with_it, without = film(Facts(view="AP", devices=(device,))), film(Facts(view="AP"))
    mask, point = with_it.masks[device.name], with_it.tips[device.name]
    change = with_it.pixels_HW - without.pixels_HW
    assert change[mask].mean() > 0.01
    assert np.abs(change[~near(mask, 4)]).max() < 1e-6
    if tip.tip == "below_diaphragm":
        assert point.row_px > SIZE  # off the film
        return
    assert near(mask, 2)[round(point.row_px), round(point.column_px)]
    ends_down = kind not in {"chest_tube", "mediastinal_drain", "intra_aortic_balloon_pump"}
    if ends_down and tip.tip == "above_carina":
        assert mask.nonzero()[0].max() == pytest.approx(point.row_px, abs=2)


@pytest.mark.parametrize("kind", ["endotracheal_tube", "tracheostomy_tube"])
def test_the_reported_distance_is_the_one_in_the_picture(kind):
    for seed in range(6):
        device = draw_device(kind, np.random.default_rng(seed))
        if device.distance_cm is None:
            continue
        study = make_study(seed, size_px=512, facts=Facts(view="AP", devices=(device,)))
        above_px = study.carina_px[0] - study.tips[kind].row_px
        assert above_px * study.spacing_mm / 10 == pytest.approx(device.distance_cm, abs=0.01)
        assert f"{device.distance_cm:.1f} cm above the carina" in study.report


def test_tips_lie_in_the_places_of_their_names():
    anatomy = Anatomy()
    found = {name: film(Facts(devices=(any_tip(*entry),))) for name, entry in EVERY_TIP}
    point = {name: next(iter(drawn.tips.values())) for name, drawn in found.items()}

    def lung(name, side):
        drawn, tip = found[name], point[name]
        return drawn.masks[f"{side}_lung"][round(tip.row_px), round(tip.column_px)]

    bronchus = point["endotracheal_tube", "right_main_bronchus"]
    assert bronchus.x_mm < -5
    assert 0 < bronchus.y_mm < 35
    stomach = point["nasogastric_tube", "stomach"]
    assert stomach.x_mm > 30
    assert stomach.y_mm > anatomy.dome("left")
    assert point["nasogastric_tube", "esophagus"].y_mm < anatomy.dome("left") - 20
    assert lung(("nasogastric_tube", "airway_or_lung"), "right")
    for kind in ("internal_jugular_cvc", "picc", "subclavian_cvc_or_port"):
        levels = [point[kind, tip].y_mm for tip in ("upper_svc", "mid_svc", "lower_svc", "cavoatrial_junction")]
        assert levels == sorted(levels)
        assert all(-35 < point[kind, tip].x_mm < -10 for tip in ("upper_svc", "mid_svc", "lower_svc", "right_atrium"))
        assert point[kind, "right_atrium"].y_mm > levels[-1] + 15
    chest = any_tip("chest_tube", next(t for t in KINDS["chest_tube"].tips if t.tip == "upper"))
    assert lung(("chest_tube", "upper"), chest.side)
    pump = point["intra_aortic_balloon_pump", "proximal_descending_aorta"]
    assert 10 <= pump.y_mm + 40 <= 50  # below the knob's top, which is 40 mm above the carina
    assert pump.x_mm > 0


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", [kind for kind, entry in KINDS.items() if len(entry.sides) == 2])
def test_a_device_comes_in_from_its_own_side(kind, side):
    device = replace(draw_device(kind, np.random.default_rng(1), placement="correct"), side=side)
    drawn = film(Facts(view="AP", devices=(device,)))
    columns = drawn.masks[device.name].nonzero()[1]
    lateral = columns.max() if side == "left" else columns.min()
    offset_mm = (lateral - drawn.carina_px[1]) * drawn.spacing_mm
    assert (offset_mm > 25) if side == "left" else (offset_mm < -25)


def test_an_ap_film_shows_a_shallower_breath_and_higher_clavicles():
    pa = make_study(4, size_px=256, facts=Facts(view="PA"))
    ap = make_study(4, size_px=256, facts=Facts(view="AP"))
    assert (ap.anatomy.half_thorax_mm, ap.anatomy.sex) == (pa.anatomy.half_thorax_mm, pa.anatomy.sex)
    lowest = [s.masks["right_lung"].nonzero()[0].max() - s.carina_px[0] for s in (pa, ap)]
    assert lowest[1] < lowest[0] - 4
    assert ap.anatomy.clavicle_mm < pa.anatomy.clavicle_mm - 5


def test_a_lateral_film_faces_left_and_shows_fluid_behind():
    plain = film(Facts(view="LATERAL"))
    wet = film(Facts(view="LATERAL", effusions=(Effusion("left", 90.0),)))
    lungs = plain.masks["lungs"].nonzero()[1]
    assert plain.masks["heart"].nonzero()[1].mean() < lungs.mean() - 10  # in front
    change = wet.pixels_HW - plain.pixels_HW
    assert change[wet.masks["effusion_left"]].mean() > 0.05
    behind = wet.masks["effusion_left"].nonzero()
    top = behind[1][behind[0] <= behind[0].min() + 2]
    assert top.mean() > lungs.mean()
    assert plain.carina_px is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Facts(heart_ratio=0.50), "0.5 is in none of the bands"),
        (lambda: Facts(effusions=(Effusion("left", 60.0),)), "60.0 is in none"),
        (lambda: Facts(effusions=(Effusion("left", 90.0), Effusion("left", 35.0))), "two effusion entries"),
        (
            lambda: Facts(effusions=(Effusion("left", 90.0),), pneumothoraces=(Pneumothorax("left", 30.0),)),
            "left side: no hydropneumothorax",
        ),
        (
            lambda: Facts(effusions=(Effusion("left", 160.0),), consolidations=(Consolidation("left", "lower"),)),
            "cannot be seen",
        ),
        (lambda: Facts(heart_ratio=0.64, atelectasis=("left",)), "atelectasis of the left base"),
        (lambda: Facts(hedged=("right",)), "hedged effusion on the right side"),
        (lambda: Facts(view="LATERAL", pneumothoraces=(Pneumothorax("left", 30.0),)), "lateral film"),
        (lambda: Facts(devices=(Device("picc", "left", "mid_svc", "correct", 3),) * 2), "stands twice"),
        (lambda: draw_device("stent", np.random.default_rng(0)), "no device 'stent'"),
        (lambda: draw_device("mediastinal_drain", np.random.default_rng(0), placement="correct"), "no correct tip"),
        (lambda: make_study(-1), "seed -1 is negative"),
        (lambda: make_study(1, size_px=32), "size_px 32"),
        (lambda: make_study(1, noise=0.5), "noise 0.5"),
        (lambda: make_study(1, view="OBLIQUE"), "view 'OBLIQUE'"),
        (lambda: make_study(1, setting="moon"), "setting 'moon'"),
        (lambda: make_study(1, view="AP", facts=Facts()), "facts are of view PA"),
        (lambda: make_study(1, view="AP", prior=Facts()), "only like films"),
    ],
)
def test_what_cannot_be_drawn_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
