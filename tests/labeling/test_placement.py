import shutil
from importlib import resources
from pathlib import Path

import pytest

from labeling.facts import LineTubeFacts
from labeling.placement.decide import decide
from labeling.placement.tables import load_tables
from labeling.vocabulary import DEVICES, LineTubeType

SHIPPED = Path(str(resources.files("labeling.placement")))


def facts(device, **said):
    wire = {
        "type": device,
        "sentences": [1],
        "side": "unspecified",
        "status": "in_place",
        "subtype": "standard",
        "tip": "N/A",
        "tip_distance_cm": None,
        "tip_landmark": None,
        "tip_direction": None,
        "stated": "not_stated",
        "advice": "none",
        "pleural": "none",
        "pleural_sentences": [],
        "placement": None,
    } | said
    if wire["pleural"] != "none":
        wire["pleural_sentences"] = [1]
    return LineTubeFacts.model_validate(
        wire | {"sentences": (1,), "pleural_sentences": tuple(wire["pleural_sentences"])}, strict=False
    )


def decided(device, **said):
    decision = decide(facts(device, **said), load_tables().by_device[LineTubeType(device)])
    return decision.placement.value, decision.rule


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"tip": "upper"}, ("correct", "tip_map")),
        ({"tip": "middle"}, ("correct", "tip_map")),
        ({"tip": "lower"}, ("correct", "tip_map")),
        ({"tip": "below_diaphragm"}, ("incorrect", "tip_map")),
        ({"tip": "adjacent_to_mediastinum"}, ("incorrect", "tip_map")),
        ({"tip": "side_port_outside_rib_cage"}, ("incorrect", "outside")),
        ({"tip": "outside_chest"}, ("incorrect", "outside")),
        ({"tip": "unclear"}, ("unclear", "unmapped_tip")),
        ({}, ("N/A", "not_described")),
    ],
)
def test_a_chest_tubes_tip_decides_as_the_paper_maps_it(said, expected):
    assert decided("chest_tube", **said) == expected


def test_the_rules_apply_in_the_documented_order():
    # Each step adds what the next higher rule looks at; everything below stays, and must no longer count.
    said = {}
    order = [
        ({}, "not_described"),
        ({"tip": "upper"}, "tip_map"),
        ({"stated": "satisfactory"}, "stated_position"),
        ({"tip": "outside_chest"}, "outside"),
        ({"pleural": "worse"}, "pleural"),
        ({"advice": "reposition"}, "advice"),
        ({"stated": "kinked"}, "stated_malposition"),
        ({"status": "removed"}, "removed"),
    ]
    for step, rule in order:
        said |= step
        assert decided("chest_tube", **said)[1] == rule


@pytest.mark.parametrize(
    "stated", ["malpositioned", "kinked", "coiled", "looped", "doubled_back", "too_high", "too_low"]
)
def test_each_stated_malposition_is_incorrect(stated):
    assert decided("picc", stated=stated, tip="mid_svc") == ("incorrect", "stated_malposition")


@pytest.mark.parametrize(
    ("cm", "placement", "band"),
    [
        (1.9, "incorrect", "bad"),
        (2.0, "unclear", "borderline"),
        (2.9, "unclear", "borderline"),
        (3.0, "correct", "ok"),
        (7.0, "correct", "ok"),
        (7.1, "unclear", "borderline"),
    ],
)
def test_an_endotracheal_tubes_distance_falls_into_its_band(cm, placement, band):
    said = facts(
        "endotracheal_tube", tip="above_carina", tip_distance_cm=cm, tip_landmark="carina", tip_direction="above"
    )
    decision = decide(said, load_tables().by_device[LineTubeType.ENDOTRACHEAL_TUBE])
    assert (decision.placement.value, decision.band.value, decision.rule) == (placement, band, "distance_map")


def test_a_distance_without_direction_is_read_the_usual_way():
    assert decided("endotracheal_tube", tip_distance_cm=4.0, tip_landmark="carina") == ("correct", "distance_map")
    assert decided("intra_aortic_balloon_pump", tip_distance_cm=2.0, tip_landmark="aortic_arch")[0] == "correct"


def test_a_bad_tip_beats_a_distance_that_is_not():
    said = {"tip": "carina", "tip_distance_cm": 4.0, "tip_landmark": "carina", "tip_direction": "above"}
    assert decided("endotracheal_tube", **said) == ("incorrect", "tip_map")


def test_a_main_bronchus_is_never_correct_even_when_called_stable():
    assert decided("endotracheal_tube", tip="right_main_bronchus", stated="satisfactory") == ("incorrect", "outside")


def test_the_right_atrium_suits_a_dialysis_catheter_only():
    assert decided("internal_jugular_cvc", tip="right_atrium", subtype="dialysis")[0] == "correct"
    assert decided("internal_jugular_cvc", tip="right_atrium")[0] == "incorrect"


def test_a_tube_past_the_pylorus_is_meant_so_when_it_is_a_feeding_tube():
    assert decided("nasogastric_tube", tip="duodenum", subtype="feeding")[0] == "correct"
    assert decided("nasogastric_tube", tip="duodenum")[0] == "unclear"


def test_a_loop_inside_the_stomach_is_unclear_but_elsewhere_incorrect():
    assert decided("nasogastric_tube", tip="stomach", stated="coiled") == ("unclear", "stated_malposition")
    assert decided("nasogastric_tube", tip="esophagus", stated="coiled") == ("incorrect", "stated_malposition")


def test_every_tip_of_every_device_gets_a_decision_that_says_something():
    for device, vocabulary in DEVICES.items():
        for tip in vocabulary.tips:
            placement, rule = decided(device.value, tip=tip)
            assert (placement == "N/A") == (tip == "N/A"), (device, tip, rule)


@pytest.fixture
def tables_folder(tmp_path):
    for file in SHIPPED.glob("*.toml"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_a_users_table_changes_the_decision(tables_folder):
    file = tables_folder / "endotracheal_tube.toml"
    file.write_text(file.read_text().replace('borderline = "unclear"', 'borderline = "correct"'))
    table = load_tables(tables_folder).by_device[LineTubeType.ENDOTRACHEAL_TUBE]
    said = facts("endotracheal_tube", tip_distance_cm=2.5, tip_landmark="carina")
    assert decide(said, table).placement == "correct"
    assert load_tables(tables_folder).sha256 != load_tables().sha256


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('tips = ["carina"]', 'tips = ["carena"]', "tip 'carena' is not one of"),
        ('source = "RM"', 'source = ""', "source"),
        ("under_cm = 2.0", 'under_cm = "two"', "under_cm"),
        ('device = "endotracheal_tube"', 'device = "picc"', "endotracheal_tube.toml"),
        ('version = "1"', "version = ", "endotracheal_tube.toml"),
    ],
)
def test_a_broken_table_is_refused_by_file_and_field(tables_folder, old, new, complaint):
    file = tables_folder / "endotracheal_tube.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=complaint):
        load_tables(tables_folder)


def test_a_missing_table_is_refused(tables_folder):
    (tables_folder / "picc.toml").unlink()
    with pytest.raises(ValueError, match=r"picc\.toml"):
        load_tables(tables_folder)


def test_the_bronchial_limb_of_a_double_lumen_tube_belongs_in_a_main_bronchus():
    assert decided("endotracheal_tube", tip="left_main_bronchus", subtype="double_lumen") == ("correct", "tip_map")
    assert decided("endotracheal_tube", tip="esophagus", subtype="double_lumen") == ("incorrect", "outside")
