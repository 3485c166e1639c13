"""What a report says about a device besides its name and place: verdicts, removals, advice, and the words around them.

The word lists are in `lexicon/context.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rules.lexicon_files import phrases, read_lexicon
from labeling.vocabulary import Advice, StatedPosition

# A verdict is firm ("satisfactory position") or weak ("unchanged", "in place"): a weak one yields to a bad tip. A bare
# word ("low") counts only as a statement of its own ("the tube is low").
FIRM, WEAK, BARE = "firm", "weak", "bare"

# "not" + "seen" in all their variants
_HARDLY = (
    "not|not well|not clearly|not definitely|not definitively|not fully|not adequately|not completely|not"
    " optimally|not readily"
    "|not confidently|not reliably|not entirely|not easily|not distinctly|not otherwise|cannot be|cannot be"
    " well|can not be|cannot"
    " be clearly|cannot be definitely|cannot be confidently|could not be|poorly|incompletely|difficult"
    " to|hard to|suboptimally"
    "|not really|not at all|not currently|cannot be reliably|cannot be accurately|not directly|not"
    " convincingly|unable to be"
).split("|")
_SEEN = (
    "seen|visualized|identified|visible|shown|demonstrated|delineated|defined|discerned|evaluated|assessed|appreciated|imaged"
    "|traced|followed|localized|determined|depicted|included|ascertained|resolved|detected|distinguished|see|visualize|identify"
    "|assess|evaluate|trace|follow|discern|delineate|apparent|evident|perceptible|covered|displayed|recognized|confirmed"
).split("|")


def context_phrases() -> Iterator[tuple[str, tuple[str, object]]]:
    """Give (phrase, (kind, payload)) for the lexicon."""
    lexicon = read_lexicon("context")
    lists = lexicon["list"]
    for role in lexicon["role"]:
        for words in phrases(role["words"]):
            yield " ".join(words), (role["kind"], role["value"])
    for stated in lexicon["stated"]:
        verdict = (StatedPosition(stated["position"]), stated["strength"])
        for words in phrases(stated["words"], lists):
            yield " ".join(words), ("stated", verdict)
    for how in _HARDLY:
        for seen in _SEEN:
            yield f"{how} {seen}", ("unseen", "")
    for advice in lexicon["advice"]:
        for words in phrases(advice["words"]):
            yield " ".join(words), ("advice", (Advice(advice["advice"]), advice["form"]))


SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("the", "of", "a", "an", "'s", "level", "approximately", "approx", "about", "roughly"), ""),
    "/": "slash",
    "dbl": "double",
    "abv": "above",
    "incl": "included",
    "vis": "visualized",
    "jxn": "junction",
    "jct": "junction",
    "pulm": "pulmonary",
    "lt": "left",
    "rt": "right",
    "l": "left",
    "r": "right",
    "b/l": "bilateral",
    "bilat": "bilateral",
    "w/": "with",
    "w/o": "without",
    "s/p": "post",
    "visualised": "visualized",
    "visualise": "visualize",
    "tunnelled": "tunneled",
    "oesophagus": "esophagus",
    "oesophageal": "esophageal",
    "oesophagogastric": "esophagogastric",
    "gastrooesophageal": "gastroesophageal",
    "oesophago": "esophago",
    **dict.fromkeys(("rigth", "rihgt", "rght"), "right"),
    **dict.fromkeys(("letf", "lfet"), "left"),
    "clavicles": "clavicle",
    "heads": "head",
    "lungs": "lung",
    "lobes": "lobe",
    "bases": "base",
    "diaphragms": "diaphragm",
    "veins": "vein",
    "cords": "cord",
    "localised": "localized",
    "haemofiltration": "hemofiltration",
    "haemodiafiltration": "hemodiafiltration",
    "ports'": "port",
    "haemodialysis": "hemodialysis",
    "haemothorax": "hemothorax",
    "centimetres": "cm",
    "centimetre": "cm",
    "centimeters": "cm",
    "centimeter": "cm",
    "cms": "cm",
    "millimetres": "mm",
    "millimetre": "mm",
    "millimeters": "mm",
    "millimeter": "mm",
    "hemi": "hemi",
    "apices": "apex",
    "atria": "atrium",
    "subclav": "subclavian",
    "catheters": "catheters",
    "cath": "catheter",
    "dobhoffs": "dobhoff",
    "oedema": "edema",
    "mainstream": "mainstem",
}


def is_number(word: str) -> bool:
    return word[0].isdigit() or word in NUMBER_WORDS


NUMBER_WORDS = {"one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0}
COUNT_WORDS = {"two": 2, "2": 2, "both": 2, "pair": 2, "couple": 2, "three": 3, "3": 3, "four": 4, "4": 4, "dual": 2}
