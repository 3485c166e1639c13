import pytest

from labeling.intake import MAX_CHARACTERS, Duplicate, choose, examine, fault
from studies.records import Report


def of(text):
    return fault(Report("A", text))


@pytest.mark.parametrize(
    "text",
    [
        "ETT 4 cm above carina. No PTX.",
        "PICC in SVC",
        "No.",
        "Comparison: 3 Mar. Le Fort fracture. Sin. Tube.",
        "The tip of the enteric tube is in the stomach.",
        "Status post CABG. A de novo LLL opacity, in situ PICC, no PTX.",
    ],
)
def test_english_in_any_style_is_taken(text):
    assert of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Der Tubus liegt mit der Spitze 4 cm oberhalb der Carina. Kein Pneumothorax, kein Erguss.",
        "La sonde est en place. Pas de pneumothorax ni d'épanchement dans le poumon gauche.",
        "El tubo endotraqueal con la punta en la tráquea. No se observa derrame pleural en el lado izquierdo.",
        "Эндотрахеальная трубка на 4 см выше карины. Пневмоторакса нет.",
        "气管插管尖端位于隆突上方约四厘米处。未见气胸。心影大小正常。双肺清晰无实变。",
    ],
)
def test_a_report_in_another_language_is_refused(text):
    assert "not in English" in of(text)


def test_an_empty_text_an_empty_id_and_a_megabyte_are_refused():
    assert of(" \n ") == "the report text is empty"
    assert fault(Report(" ", "x")) == "the id is empty"
    assert f"more than {MAX_CHARACTERS:,}" in of("ETT in place. " * 80_000)


def test_half_a_character_is_refused_and_a_whole_one_is_not():
    assert "half a character" in of("ETT in place \ud83d.")
    assert "half a character" in fault(Report("\ud83d", "x"))
    assert of("ETT in place \U0001f600, 37 °C.") is None


def test_ids_that_stand_twice_are_named():
    with pytest.raises(Duplicate, match="1 report ids stand more than once: B"):
        examine([Report("A", "x"), Report("B", "x"), Report("B", "y")])


def test_a_limit_takes_the_first_and_a_sample_keeps_the_order_and_repeats_by_seed():
    everything = [Report(str(n), "x") for n in range(100)]
    assert [r.report_id for r in choose(everything, limit=3, sample=None, seed=0)] == ["0", "1", "2"]
    one = [r.report_id for r in choose(everything, limit=None, sample=10, seed=1)]
    assert one == [r.report_id for r in choose(everything, limit=None, sample=10, seed=1)]
    assert one == sorted(one, key=int)
    assert len(one) == 10
    assert one != [r.report_id for r in choose(everything, limit=None, sample=10, seed=2)]
