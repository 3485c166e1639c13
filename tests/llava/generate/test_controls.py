"""What a control takes away, and that it takes nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.preprocessing.prepare import normalize
from encoders.preprocessing.recipe import load_recipe
from llava.build import Built
from llava.dataset.example import BadStudy, Example
from llava.dataset.table import StudyTable
from llava.generate.controls import ControlledReader, ControlledTable, blank, shuffled
from studies.records import GenerationStudy

FILMS = ("frontal", "lateral", "prior_frontal")


def study(number: int, patient: str | None, films: str = "f", **texts: str) -> GenerationStudy:
    """films: of "flp", those the study has, each named by its number."""
    names = dict(zip("flp", FILMS, strict=True))
    return GenerationStudy(
        study_id=f"s{number}",
        patient_id=patient,
        frontal_view="PA" if number % 2 else "AP",
        **{names[one]: f"{number}{one}.png" for one in films},
        **texts,
    )


def many() -> list[GenerationStudy]:
    """200 studies of patients with one to four each, of three kinds of views."""
    rng = np.random.default_rng(0)
    return [study(number, f"p{number // rng.integers(1, 5)}", ("f", "fl", "flp")[number % 3]) for number in range(200)]


def owner(film: str) -> int:
    return int(film[:-5])


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_films_are_of_another_patient_of_one_study_and_of_the_same_views(seed):
    studies = many()
    for mine, films in zip(studies, shuffled(studies, seed=seed), strict=True):
        for name in FILMS:
            assert (getattr(films, name) is None) == (getattr(mine, name) is None)
        donors = {owner(film) for film in films[:3] if film is not None}
        assert len(donors) == 1
        donor = studies[donors.pop()]
        assert donor.patient_id != mine.patient_id
        assert films.frontal_view == donor.frontal_view


def test_shuffled_films_are_each_given_away_once():
    studies = many()
    given = [films.frontal for films in shuffled(studies, seed=0)]
    assert sorted(given) == sorted(one.frontal for one in studies)


def test_shuffling_is_the_seeds():
    studies = many()
    assert shuffled(studies, seed=1) == shuffled(studies, seed=1) != shuffled(studies, seed=2)


def test_a_patient_with_most_studies_shares_the_films_of_the_few_others():
    studies = [study(number, "same") for number in range(9)] + [study(9, "other")]
    found = shuffled(studies, seed=0)
    assert [films.frontal for films in found[:9]] == ["9f.png"] * 9
    assert owner(found[9].frontal or "") < 9


def test_the_only_study_of_its_views_borrows_film_by_film():
    studies = [study(0, "a", "flp"), study(1, "b", "fl"), study(2, "c", "fp")]
    films = shuffled(studies, seed=0)[0]
    assert [owner(films.lateral or ""), owner(films.prior_frontal or "")] == [1, 2]
    assert owner(films.frontal or "") in (1, 2)
    assert films.frontal_view == ("PA" if films.frontal == "1f.png" else "AP")


def test_studies_of_no_known_patient_are_a_patient_each():
    studies = [study(number, None) for number in range(4)]
    assert all(films.frontal != one.frontal for one, films in zip(studies, shuffled(studies, seed=0), strict=True))


def test_one_patient_alone_cannot_be_shuffled():
    assert shuffled([study(0, "a"), study(1, "a")], seed=0) == [None, None]


def test_a_study_whose_views_no_other_patient_has_is_a_failure_and_never_its_own(built: Built, tmp_path: Path):
    studies = ControlledTable([study(0, "a", "fl"), study(1, "b")], "shuffled_images", seed=0)
    assert studies.refused == {0}
    assert (studies[0].frontal, studies[0].lateral) == (None, None)
    reader = ControlledReader(studies, built.processor, with_target=False, skip_guards=(), root=tmp_path)
    found = reader.read(0)
    assert isinstance(found, BadStudy)
    assert (found.study_id, found.error) == ("s0", "ControlError")


def test_no_prior_report_leaves_the_prior_film():
    [found] = ControlledTable(
        [study(0, "a", "fp", prior_report="Old.", indication="Cough.")], "no_prior_report", seed=0
    )
    assert (found.prior_report, found.prior_frontal, found.indication) == (None, "0p.png", "Cough.")


def test_shuffling_leaves_what_a_study_is_asked():
    studies = [study(number, f"p{number}", "fp", prior_report=f"Old {number}.") for number in range(3)]
    table = ControlledTable(studies, "shuffled_images", seed=0)
    assert [table[place].prior_report for place in range(3)] == ["Old 0.", "Old 1.", "Old 2."]
    assert [table[place].study_id for place in range(3)] == ["s0", "s1", "s2"]


@pytest.mark.parametrize("name", ["rad_dino", "medsiglip", "medimageinsight"])
def test_a_blank_film_is_next_to_nothing_after_normalisation(name):
    recipe = load_recipe(name)
    kind = np.uint8 if recipe.intensity.bit_depth == 8 else np.float32
    film_HW = blank(np.zeros((4, 4), kind), recipe)
    spread = max(recipe.normalize.mean) - min(recipe.normalize.mean)
    # half a level of 255, and how far a channel's mean is from the channels' mean, in standard deviations
    most = (0.5 / 255 + spread) / min(recipe.normalize.std)
    assert np.abs(normalize(film_HW, recipe)).max() <= most * 1.0001  # float32
    assert film_HW.dtype == kind


def test_blank_films_keep_their_number_and_the_prompt(table: Path, built: Built, tmp_path: Path):
    studies = StudyTable.open(table, cache=tmp_path / "cache", need_findings=False)
    some = [studies[place] for place in range(3)]
    seen, blanked = (
        ControlledReader(
            ControlledTable(some, control, seed=0),
            built.processor,
            with_target=False,
            skip_guards=(),
            root=studies.root,
        ).read(2)
        for control in (None, "blank_images")
    )
    assert isinstance(seen, Example)
    assert isinstance(blanked, Example)
    assert blanked.input_ids_T.tolist() == seen.input_ids_T.tolist()
    assert [len(np.unique(image)) for image in blanked.images] == [1, 1, 1]
    assert all(len(np.unique(image)) > 50 for image in seen.images)


def test_films_of_patients_that_are_not_known_are_told(caplog):
    studies = [GenerationStudy(study_id=f"s{number}", frontal=f"{number}.png") for number in range(3)]
    ControlledTable(studies, "shuffled_images", seed=0)
    assert "3 of 3 studies have no patient_id" in caplog.text
    caplog.clear()
    ControlledTable(studies, "blank_images", seed=0)
    ControlledTable([one.model_copy(update={"patient_id": one.study_id}) for one in studies], "shuffled_images", seed=0)
    assert caplog.text == ""
