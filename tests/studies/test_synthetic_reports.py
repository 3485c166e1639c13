"""Synthetic reports say what the facts are: the vocabulary is labeling's, and its own rules read them alike."""

import asyncio
from collections import Counter

import pytest

from labeling.rules.engine import RulesEngine
from labeling.runtime.ask import Policy
from labeling.texts import label_texts
from labeling.vocabulary import (
    DEVICES,
    LABELS,
    Assertion,
    Comparison,
    Finding,
    Landmark,
    LineTubeType,
    Mention,
    Placement,
    Severity,
    Side,
    Status,
)
from studies.synthetic import Consolidation, Device, Effusion, Facts, Pneumothorax, make_cohort, make_study
from studies.synthetic.devices import KINDS
from studies.synthetic.labels import FINDING_OF, FINDINGS

COUNT = 300
ENTRY = ("label", "assertion", "side_categorical", "severity", "comparison")
DEVICE = (
    "type_categorical",
    "side_categorical",
    "tip_location",
    "tip_distance_cm",
    "tip_landmark",
    "status",
    "placement",
)


@pytest.fixture(scope="module")
def studies():
    return list(make_cohort(COUNT, 4, size_px=64))


def read_by_rules(reports, folder):
    rows, failures = asyncio.run(label_texts(reports, store_folder=folder, engine=RulesEngine(), policy=Policy()))
    assert failures == {}
    return {key: row.model_dump(mode="json") for key, row in rows.items()}


def entries(row):
    """The findings a row names; its no_finding entries are left to the report-level label, since any normal remark
    ("Heart size is normal.") may or may not count as one."""
    return {tuple(entry[name] for name in ENTRY) for entry in row["findings"] if entry["label"] != "no_finding"}


def devices(row):
    return Counter(tuple(entry[name] for name in DEVICE) for entry in row["lines_and_tubes"])


def test_the_built_in_rules_read_in_the_reports_what_the_generator_wrote(studies, tmp_path):
    rows = read_by_rules({study.study_id: study.report for study in studies}, tmp_path)
    wrong = {}
    for study in studies:
        row, own = rows[study.study_id], study.labels
        problems = [name for name, said in own["finding_labels"].items() if row["finding_labels"][name] != said]
        problems += [] if entries(row) == entries(own) else [f"entries {entries(row) ^ entries(own)}"]
        problems += [] if devices(row) == devices(own) else [f"devices {devices(row)} for {devices(own)}"]
        problems += [] if row["line_tube_labels"] == own["line_tube_labels"] else ["line_tube_labels"]
        if problems:
            wrong[study.study_id] = (problems, study.report)
    assert len(studies) == COUNT
    assert len(wrong) <= COUNT // 100, wrong


def test_every_word_of_the_labels_is_one_of_the_vocabulary(studies):
    for study in studies:
        row = study.labels
        for entry in row["findings"]:
            assert entry["label"] in LABELS
            assert entry["finding"] == LABELS[entry["label"]].finding
            assert entry["assertion"] in list(Assertion)
            assert entry["side_categorical"] in list(Side)
            assert entry["severity"] in list(Severity)
            assert entry["comparison"] in list(Comparison)
        assert set(row["finding_labels"]) == {finding.value for finding in Finding}
        assert set(row["finding_labels"].values()) <= {mention.value for mention in Mention}
        for entry in row["lines_and_tubes"]:
            device = DEVICES[LineTubeType(entry["type_categorical"])]
            assert entry["side_categorical"] in list(device.sides)
            assert entry["tip_location"] in device.tips
            assert entry["tip_landmark"] is None or entry["tip_landmark"] in list(Landmark)
            assert entry["status"] in list(Status)
            assert entry["placement"] in list(Placement)
        assert set(row["line_tube_labels"]) == {kind.value for kind in LineTubeType} | {"no_tubes"}


def test_the_catalogue_is_labelings():
    assert set(KINDS) == {kind.value for kind in LineTubeType}
    for kind, entry in KINDS.items():
        device = DEVICES[LineTubeType(kind)]
        assert {tip.tip for tip in entry.tips} <= set(device.tips)
        assert set(entry.sides) <= {side.value for side in device.sides}
    assert {*FINDINGS, "no_finding"} == {finding.value for finding in Finding}
    assert {(k, *v) for k, v in FINDING_OF.items()} == {
        (label, LABELS[label].finding.value, LABELS[label].denial_counts) for label in FINDING_OF
    }


def test_a_cohort_shows_every_finding_every_device_and_every_placement(studies):
    said = Counter((e["label"], e["assertion"]) for s in studies for e in s.labels["findings"])
    assert all(said[label, "positive"] >= 3 for label in set(FINDING_OF) - {"lung_opacity"})
    assert said["pleural_effusion", "uncertain"] >= 1
    kinds = Counter(d["type_categorical"] for s in studies for d in s.labels["lines_and_tubes"])
    assert all(kinds[kind] >= 3 for kind in KINDS)
    placements = Counter(d["placement"] for s in studies for d in s.labels["lines_and_tubes"])
    assert all(placements[placement] >= 10 for placement in ("correct", "unclear", "incorrect", "N/A"))
    assert {s.view for s in studies} == {"PA", "AP", "LATERAL"}
    assert sum(s.facts.is_normal for s in studies) >= 50


def test_what_is_in_the_report_is_in_the_masks_and_the_other_way_round(studies):
    for study in studies:
        facts, masks = study.facts, set(study.masks)
        drawn = {
            name for name in masks if name.startswith(("effusion", "pneumothorax", "consolidation", "atelectasis"))
        }
        expected = {f"effusion_{e.side}" for e in facts.effusions} | {
            f"pneumothorax_{p.side}" for p in facts.pneumothoraces
        }
        expected |= {f"atelectasis_{side}" for side in facts.atelectasis}
        if facts.view != "LATERAL":
            expected |= {f"consolidation_{c.side}_{c.zone}" for c in facts.consolidations}
        assert drawn == expected, study.study_id
        assert {name for name in masks if name in study.tips} == {device.name for device in facts.devices}
        assert all(mask.any() for mask in study.masks.values()), study.study_id


def test_a_normal_film_is_reported_normal():
    study = make_study(9, size_px=64, facts=Facts())
    labels = study.labels["finding_labels"]
    assert labels["no_finding"] == "positive"
    assert {labels[name] for name in ("pleural_effusion", "pneumothorax", "cardiomegaly", "opacity")} == {"negative"}
    assert study.labels["line_tube_labels"]["no_tubes"] is True
    assert "FINDINGS:" in study.report
    assert "IMPRESSION: No acute cardiopulmonary" in study.report


def test_a_hedged_effusion_is_uncertain():
    study = make_study(9, size_px=64, facts=Facts(effusions=(Effusion("left", 35.0),), hedged=("left",)))
    assert study.labels["finding_labels"]["pleural_effusion"] == "uncertain"
    assert study.labels["finding_labels"]["no_finding"] == "uncertain"


def test_the_words_vary_and_the_labels_do_not():
    facts = Facts(effusions=(Effusion("right", 35.0),), consolidations=(Consolidation("left", "upper"),))
    made = [make_study(seed, size_px=64, facts=facts) for seed in range(12)]
    assert len({study.report for study in made}) > 6
    assert len({str(study.labels["finding_labels"]) for study in made}) == 1


def test_a_comparison_is_made_only_with_a_film_before():
    tube = Device("endotracheal_tube", "unspecified", "above_carina", "correct", 40, 4.0, "carina")
    before = Facts(view="AP", effusions=(Effusion("left", 35.0),), devices=(tube,))
    now = Facts(view="AP", effusions=(Effusion("left", 90.0),), pneumothoraces=(Pneumothorax("right", 12.0),))
    alone = make_study(3, size_px=64, facts=now)
    followed = make_study(3, size_px=64, facts=now, prior=before)
    assert {e["comparison"] for e in alone.labels["findings"]} == {"unspecified"}
    assert "removed" not in alone.report
    assert "The left pleural effusion has increased and is now moderate." in followed.report
    assert "New small right pneumothorax." in followed.report
    removed = followed.labels["lines_and_tubes"]
    assert [(d["type_categorical"], d["status"], d["placement"]) for d in removed] == [
        ("endotracheal_tube", "removed", "N/A")
    ]
    np_pixels = [study.pixels_HW for study in (alone, followed)]
    assert (np_pixels[0] == np_pixels[1]).all()  # words change, the film does not


@pytest.mark.parametrize(
    ("facts", "prior", "expected"),
    [
        ({}, None, "correct"),
        ({"effusions": (Effusion("left", 35.0),)}, None, "correct"),
        ({"effusions": (Effusion("left", 90.0),)}, None, "incorrect"),
        ({"effusions": (Effusion("right", 90.0),)}, None, "correct"),
        ({"pneumothoraces": (Pneumothorax("left", 30.0),)}, None, "incorrect"),
        ({"pneumothoraces": (Pneumothorax("left", 12.0),)}, {}, "incorrect"),  # new since the film before
        ({"effusions": (Effusion("left", 35.0),)}, {"effusions": (Effusion("left", 38.0),)}, "correct"),
    ],
)
def test_a_chest_tube_beside_a_larger_collection_is_incorrect(facts, prior, expected):
    tube = Device("chest_tube", "left", "upper", "correct", 0)
    before = None if prior is None else Facts(devices=(tube,), **prior)
    study = make_study(1, size_px=64, facts=Facts(devices=(tube,), **facts), prior=before)
    assert study.labels["lines_and_tubes"][0]["placement"] == expected


def test_a_cohort_has_patients_with_several_studies_of_one_person(studies):
    patients = Counter(study.patient_id for study in studies)
    assert 1.3 < COUNT / len(patients) < 1.9
    longest = patients.most_common(1)[0][0]
    own = [study for study in studies if study.patient_id == longest]
    assert len({(s.anatomy.sex, s.anatomy.age, s.anatomy.half_thorax_mm) for s in own}) == 1
    assert [study.prior for study in own] == [None, *(study.facts for study in own[:-1])]
    assert len({study.study_id for study in studies}) == COUNT


def test_a_cohorts_options_change_it():
    def ids(**options):
        return [study.patient_id for study in make_cohort(30, 1, size_px=64, **options)]

    assert len(set(ids(studies_per_patient=1))) == 30
    assert len(set(ids(studies_per_patient=5))) < 15
    assert all(study.view == "LATERAL" for study in make_cohort(5, 1, size_px=64, lateral_share=1.0))
    assert [s.report for s in make_cohort(3, 1, size_px=64)] != [s.report for s in make_cohort(3, 2, size_px=64)]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 1), {}, "count 0"),
        ((1, -1), {}, "seed -1"),
        ((1, 1), {"studies_per_patient": 0.5}, "studies_per_patient 0.5"),
        ((1, 1), {"lateral_share": 2}, "lateral_share 2"),
    ],
)
def test_a_cohort_that_cannot_be_is_refused_at_once(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        make_cohort(*arguments, **options)
