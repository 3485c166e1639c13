"""What a place means as a tip, type by type."""

from __future__ import annotations

import pytest

from labeling.rules.place_words import place_phrases
from labeling.rules.tips import Spot, best_tip, distance_tip, fits, later_tip, side_port_tip
from labeling.vocabulary import DEVICES, NOT_AVAILABLE, LineTubeType

T = LineTubeType
PLACES = sorted({value if isinstance(value, str) else value[0] for _, (_, value) in place_phrases()})


@pytest.mark.parametrize("device", list(LineTubeType))
def test_every_place_gives_a_tip_of_the_types_own_list(device):
    for place in [*PLACES, "ij", "subclavian_vein"]:
        for direction in ("", "above", "below", "beyond"):
            for near in (False, True):
                for side in ("", "left", "right", "opposite"):
                    tip = best_tip(device, [Spot(place, side, "tip", direction, near)], "right")
                    assert tip in DEVICES[device].tips, (place, direction, tip)


def test_what_is_said_of_the_tip_beats_the_way_it_takes():
    spots = [Spot("brachio", "left", "path"), Spot("svc", "", "tip")]
    assert best_tip(T.PICC, spots, "left") == "svc"


def test_a_way_counts_when_nothing_better_is_said():
    assert best_tip(T.NASOGASTRIC_TUBE, [Spot("abdomen", "", "path")], "") == "below_diaphragm"


def test_a_vein_of_the_other_side_is_contralateral_only_with_a_known_insertion_side():
    spot = Spot("brachio", "left", "tip")
    assert best_tip(T.PICC, [spot], "right") == "contralateral_vein"
    assert best_tip(T.PICC, [spot], "left") == "brachiocephalic_vein"
    assert best_tip(T.PICC, [spot], "") == "brachiocephalic_vein"


def test_a_vague_later_tip_does_not_replace_an_exact_one():
    assert later_tip("lower_svc", "svc") == "lower_svc"
    assert later_tip("svc", "lower_svc") == "lower_svc"
    assert later_tip("above_carina", NOT_AVAILABLE) == "above_carina"
    assert later_tip("unclear", "svc") == "svc"


@pytest.mark.parametrize(
    ("spot", "tip"),
    [
        (Spot("gej"), "side_port_at_or_above_ge_junction"),
        (Spot("gej", direction="above"), "side_port_at_or_above_ge_junction"),
        (Spot("gej", direction="below"), "side_port_beyond_ge_junction"),
        (Spot("stomach"), "side_port_beyond_ge_junction"),
        (Spot("esophagus"), "side_port_at_or_above_ge_junction"),
    ],
)
def test_an_enteric_side_port_lies_before_or_beyond_the_junction(spot, tip):
    assert side_port_tip([spot]) == tip


def test_a_distance_alone_gives_the_place_it_leads_to():
    assert distance_tip(T.ENDOTRACHEAL_TUBE, 4.0, "carina", "above") == "above_carina"
    assert distance_tip(T.INTRA_AORTIC_BALLOON_PUMP, 2.0, "aortic_arch", "below") == "proximal_descending_aorta"
    assert distance_tip(T.INTRA_AORTIC_BALLOON_PUMP, 6.0, "aortic_arch", "below") == "mid_descending_aorta"
    assert distance_tip(T.CHEST_TUBE, 4.0, "carina", "above") == NOT_AVAILABLE


def test_a_stomach_is_no_place_for_a_central_line():
    assert fits(T.NASOGASTRIC_TUBE, "stomach")
    assert not fits(T.PICC, "stomach")
