"""ROUGE-L against the package `rouge-score`, to the last bit, and a few values by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import tokenize as published
from rouge_score.rouge_scorer import RougeScorer

from eval import rouge
from eval.rouge import RougeL, rouge_l, rouge_l_scores, stemmed_tokens, tokenize

SCORERS = {stemmed: RougeScorer(["rougeL"], use_stemmer=stemmed) for stemmed in (False, True)}
both_stemmers = pytest.mark.parametrize("use_stemmer", [False, True])
thorough = settings(deadline=None, max_examples=200)

# Longer in lower case (dotted I), an ASCII k in lower case (Kelvin sign), never a-z (sharp and long s, accents),
# digits that are not 0-9, white space that is not ASCII, half a character.
ODD = ["\u0130", "\u0130stanbul", "\u212a", "\u212aerley", "\u1e9e", "\u00df", "\u017f", "\u212b", "\ufb01", "\u2167"]
ODD += ["\u00b2", "\u0663", "\uff11\uff12", "\u00e9", "e\u0301", "\u200b", "\x1c", "\xa0", "\ud800", "_"]
WORDS = """the lungs are clear no pleural effusion effusions pneumothorax is seen seeing atelectasis atelectatic tube
tubes catheter catheters terminates terminating terminated cm above carina 4.8 3 12mm T12 L1-L2 2019-03-04 moderately
enlarged enlargement cardiac silhouette bilateral bibasilar opacities opacity consolidation consolidations may represent
representing, worsening; unchanged. (stable) status/post right-sided ___ a b I II was wa gas ga""".split()
report = st.lists(st.sampled_from([*WORDS, *ODD, "", "\n", "\t", "."]), max_size=60).map(" ".join)
any_text = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.sampled_from("abAB019 .-_\n\u0130\u212a\u017f\u00df\u00e9"), max_size=60),
    st.lists(st.sampled_from(ODD), max_size=8).map("".join),
    report,
)


def theirs(prediction: str, reference: str, *, use_stemmer: bool) -> tuple[float, float, float]:
    score = SCORERS[use_stemmer].score(reference, prediction)["rougeL"]
    return float(score.precision), float(score.recall), float(score.fmeasure)


@both_stemmers
@given(prediction=any_text, reference=any_text)
@thorough
def test_any_two_texts_score_as_in_rouge_score(prediction: str, reference: str, use_stemmer: bool) -> None:
    assert rouge_l(prediction, reference, use_stemmer=use_stemmer) == theirs(
        prediction, reference, use_stemmer=use_stemmer
    )


@both_stemmers
@given(reference=report, data=st.data())
@thorough
def test_edited_reports_score_as_in_rouge_score(reference: str, data: st.DataObject, use_stemmer: bool) -> None:
    words = reference.split(" ")
    kept = [word for word in words if data.draw(st.integers(0, 3))]
    prediction = " ".join([*kept, *data.draw(st.lists(st.sampled_from(WORDS), max_size=5))])
    assert rouge_l(prediction, reference, use_stemmer=use_stemmer) == theirs(
        prediction, reference, use_stemmer=use_stemmer
    )


@both_stemmers
def test_long_texts_score_as_in_rouge_score(use_stemmer: bool) -> None:
    # Past 64 tokens, and past 64 times as many, the longest common subsequence is found by other code.
    chance = random.Random(0)
    pairs = []
    for length in (63, 64, 65, 127, 128, 129, 700):
        reference = chance.choices(WORDS, k=length)
        prediction = [word for word in reference if chance.random() < 0.7] + chance.choices(WORDS, k=length // 3)
        pairs.append((" ".join(prediction), " ".join(reference)))
    found = rouge_l_scores(pairs, use_stemmer=use_stemmer)
    assert found == [theirs(*pair, use_stemmer=use_stemmer) for pair in pairs]
    assert all(0.3 < score.f1 < 0.95 for score in found)


def test_precision_is_of_the_prediction_and_recall_of_the_reference() -> None:
    # small, effusion in common: 2 of 3 predicted and 2 of 4 reference words; 2 * 2/3 * 1/2 / (2/3 + 1/2) = 4/7.
    score = rouge_l("Small left effusion.", "small right pleural effusion")
    assert tuple(score) == pytest.approx((2 / 3, 1 / 2, 4 / 7))


def test_words_in_another_order_are_no_common_subsequence() -> None:
    assert rouge_l("effusion left small", "small left effusion").f1 == pytest.approx(1 / 3)


def test_the_stemmer_changes_the_score() -> None:
    pair = "No effusion.", "No effusions."
    assert rouge_l(*pair).f1 == 0.5
    assert rouge_l(*pair, use_stemmer=True).f1 == 1.0
    assert [score.f1 for use in (False, True) for score in rouge_l_scores([pair], use_stemmer=use)] == [0.5, 1.0]


@both_stemmers
@pytest.mark.parametrize(
    ("prediction", "reference"), [("", ""), ("", "clear"), ("clear", ""), ("...", "é ß"), (" ", "a")]
)
def test_no_token_on_a_side_is_0(prediction: str, reference: str, use_stemmer: bool) -> None:
    assert rouge_l(prediction, reference, use_stemmer=use_stemmer) == RougeL(0.0, 0.0, 0.0)


def test_words_of_three_letters_are_not_stemmed() -> None:
    assert stemmed_tokens()("gas was lungs") == ["gas", "was", "lung"]


def test_numbers_part_at_the_point_and_letters_outside_ascii_vanish() -> None:
    assert tokenize("Tip 4.8 cm; café T12_L1") == ["tip", "4", "8", "cm", "caf", "t12", "l1"]
    assert tokenize("\u0130 \u212a \u017f") == ["i", "k"]  # i and a combining dot; the Kelvin sign is a k in lower case


@given(text=any_text)
@thorough
def test_tokens_are_those_of_rouge_score(text: str) -> None:
    assert tokenize(text) == published.tokenize(text, None)
    assert stemmed_tokens()(text) == published.tokenize(text, SCORERS[True]._tokenizer._stemmer)


SUFFIXES = """s es ies ss sses ed eed ing y ly ational tional enci anci izer abli bli alli entli eli ousli ization ation
ator alism iveness fulness ousness aliti iviti biliti logi icate ative alize iciti ical ful ness al ance ence er ic able
ible ant ement ment ent ion ou ism ate iti ous ive ize e ll""".split()


@given(st.one_of(st.from_regex(r"\A[a-z0-9]{4,14}\Z"), st.lists(st.sampled_from(SUFFIXES), min_size=1).map("".join)))
@thorough
def test_a_stem_is_never_empty_and_stays_one_token(word: str) -> None:
    # rouge-score drops tokens that the stemmer spoilt; here there is nothing to drop.
    (stem,) = stemmed_tokens()(word)
    assert tokenize(stem) == [stem]


def test_stems_are_right_when_no_more_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rouge, "_STEMS_KEPT", 1)
    stemmed_tokens.cache_clear()
    tokens = stemmed_tokens()
    assert tokens("effusions tubes tubes effusions") == ["effus", "tube", "tube", "effus"]
    stemmed_tokens.cache_clear()


def test_many_pairs_keep_their_order_and_may_come_from_a_generator() -> None:
    pairs = [("a b", "a"), ("", "a"), ("a", "a")]
    assert [score.precision for score in rouge_l_scores(pair for pair in pairs)] == [0.5, 0.0, 1.0]
