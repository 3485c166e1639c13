"""generation.jsonl of `python -m studies synthetic`: films, texts and the study before belong together."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from studies.cli import app
from studies.records import GenerationStudy
from studies.synthetic import Effusion, Facts, make_cohort, make_study
from studies.synthetic.draw import SETTINGS
from studies.synthetic.facts import Pneumothorax
from studies.synthetic.generation import generation_row, lateral_facts, lateral_film

Image = pytest.importorskip("PIL.Image")
COUNT = 14


def made(folder, *options, count=COUNT, seed=4):
    arguments = ["synthetic", "-o", folder, "--count", count, "--seed", seed, "--size", 64, *options]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    lines = (folder / "generation.jsonl").read_text(encoding="utf-8").splitlines()
    return [GenerationStudy.model_validate_json(line) for line in lines]


def test_each_study_has_its_film_its_findings_and_the_study_before(tmp_path):
    rows = made(tmp_path, "--studies-per-patient", 2.5)
    studies = list(make_cohort(COUNT, 4, size_px=64, studies_per_patient=2.5))
    assert [row.study_id for row in rows] == [study.study_id for study in studies]
    before = {}
    compared = 0
    for row, study in zip(rows, studies, strict=True):
        assert row.patient_id == study.patient_id
        image = f"images/{study.study_id}.png"
        frontal = study.view != "LATERAL"
        assert (row.frontal, row.lateral) == ((image, None) if frontal else (None, image))
        assert row.frontal_view == (study.view if frontal else None)
        assert (tmp_path / image).is_file()
        header = "COMPARISON: Prior radiograph.\n\n" if study.prior is not None else ""
        assert study.report.startswith(f"{header}FINDINGS: {row.findings}\n\nIMPRESSION: ")
        last = before.get(study.patient_id)
        assert (study.prior is not None) == (last is not None)
        assert row.prior_frontal == (f"images/{last.study_id}.png" if last else None)
        assert row.prior_report == (last.report if last else None)
        assert row.comparison == ("Prior radiograph." if last else None)
        before[study.patient_id] = study
        compared += last is not None
    assert 3 <= compared < COUNT


def test_laterals_are_second_films_and_change_nothing_else(tmp_path):
    plain, with_laterals = made(tmp_path / "plain"), made(tmp_path / "laterals", "--laterals", 1)
    for file in (tmp_path / "plain").rglob("*"):
        if file.is_file() and file.name != "generation.jsonl":
            assert (tmp_path / "laterals" / file.relative_to(tmp_path / "plain")).read_bytes() == file.read_bytes()
    second = [row for row in with_laterals if row.frontal and row.lateral]
    assert 2 <= len(second) < COUNT
    for row, other in zip(plain, with_laterals, strict=True):
        if other in second:
            assert other.technique == "PA and lateral views of the chest."
            assert other.lateral == f"images/{row.study_id}-lateral.png"
            pixels = np.asarray(Image.open(tmp_path / "laterals" / other.lateral)).astype(int)
            assert np.abs(pixels - np.asarray(Image.open(tmp_path / "laterals" / other.frontal))).mean() > 10
        changed = {"lateral": other.lateral, "technique": other.technique} if other in second else {}
        assert row.model_copy(update=changed) == other
    names = {path.name for path in (tmp_path / "laterals" / "images").iterdir()}
    assert len(names) == COUNT + len(second)


def test_the_share_of_laterals_is_of_the_studies_that_can_have_one():
    study = make_study(0, size_px=64, facts=Facts())
    studies = [replace(study, seed=seed) for seed in range(60)]
    found = [lateral_film(study, 0.5, noise=0.0) is not None for study in studies]
    assert 15 <= sum(found) <= 45  # 30 expected, 3.9 standard deviations either way
    assert not any(lateral_film(study, 0.0, noise=0.0) for study in studies)
    assert all(lateral_film(study, 1.0, noise=0.0) for study in studies)


def test_a_lateral_shows_the_facts_of_its_frontal_film():
    facts = Facts(effusions=(Effusion("left", 160.0),), heart_ratio=0.64)
    study = make_study(7, size_px=128, facts=facts)
    film = lateral_film(study, 1.0, noise=0.0)
    assert film.facts == replace(facts, view="LATERAL")
    assert (film.study_id, film.report, film.anatomy) == (study.study_id, study.report, study.anatomy)
    empty = lateral_film(make_study(7, size_px=128, facts=Facts()), 1.0, noise=0.0)
    lower, upper = slice(64, 128), slice(0, 32)
    assert film.pixels_HW[lower].mean() > empty.pixels_HW[lower].mean() + 0.02  # fluid and heart are bright
    assert abs(film.pixels_HW[upper].mean() - empty.pixels_HW[upper].mean()) < 0.01
    assert np.array_equal(film.pixels_HW, lateral_film(study, 1.0, noise=0.0).pixels_HW)


def test_facts_that_a_lateral_cannot_show_have_none():
    device = next(s.facts.devices for s in (make_study(n, size_px=64, view="PA") for n in range(50)) if s.facts.devices)
    for facts in (
        Facts(devices=device),
        Facts(pneumothoraces=(Pneumothorax("left", 10.0),)),
        Facts(atelectasis=("right",)),
        Facts(view="AP", heart_ratio=0.45),
        Facts(view="LATERAL"),
    ):
        assert lateral_facts(facts) is None
    assert lateral_facts(Facts()) == Facts(view="LATERAL")


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_indication_does_not_depend_on_what_the_film_shows(setting):
    sick = Facts(effusions=(Effusion("left", 160.0),))

    def asked(facts):
        study = make_study(0, size_px=64, facts=facts, setting=setting)
        return [generation_row(replace(study, seed=seed), "", None, None).indication for seed in range(30)]

    assert asked(sick) == asked(Facts())
    assert len(set(asked(sick))) > 2
    words = " ".join(asked(sick)).lower()
    assert not any(finding in words for finding in ("effusion", "edema", "pneumo", "consolid", "atelect", "cardiomeg"))


def test_a_lateral_dicom_is_another_instance_of_the_same_study(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    rows = made(tmp_path, "--format", "dicom", "--laterals", 1, "--bits", 12)
    row = next(row for row in rows if row.frontal and row.lateral)
    frontal, lateral = (pydicom.dcmread(tmp_path / path) for path in (row.frontal, row.lateral))
    assert frontal.StudyInstanceUID == lateral.StudyInstanceUID
    assert frontal.SOPInstanceUID != lateral.SOPInstanceUID
    assert (frontal.ViewPosition, lateral.ViewPosition, lateral.InstanceNumber) == ("PA", "LL", 2)


def test_a_share_that_cannot_be_is_refused_before_anything_is_written(tmp_path):
    from studies.synthetic.files import write_cohort

    with pytest.raises(ValueError, match=r"laterals 1\.5 is not in 0 to 1"):
        write_cohort([], tmp_path / "new", laterals=1.5)
    assert not (tmp_path / "new").exists()


def test_rows_hold_every_column_by_name(tmp_path):
    made(tmp_path, count=1)
    (line,) = (tmp_path / "generation.jsonl").read_text(encoding="utf-8").splitlines()
    assert list(json.loads(line)) == list(GenerationStudy.model_fields)
