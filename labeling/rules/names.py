"""Whether a sentence names a line or tube of a type, and where.

One lexicon decides: what `labeling.rules.device_mentions` reads as this type is a name of it, and so are the words
below, which are wider (a language model knows more makers than the lexicon). A noun that fits several types ("tube",
"central line") names one of them only where the sentence names no other type: "NG tube in the stomach" is no evidence
of a chest tube, "the tube has been removed" may be.
"""

from __future__ import annotations

import re
from functools import lru_cache

from labeling.rules.device_mention import FAMILIES
from labeling.rules.device_mentions import name_span, read_named
from labeling.rules.device_words import LOOK_ALIKE
from labeling.vocabulary import LineTubeType

_HEAD = r"(?:tubes?|catheters?|caths?|lines?|drains?|cannulas?|cannulae|CV[CL]s?)"
_DRAIN = r"(?:drain(?:s|age)?|tubes?|tubing|catheters?|pigtails?|thoracostom(?:y|ies))"

# One pattern a type; the longest way of saying it first, because the words found are shown in the row as written.
_NAMES: dict[LineTubeType, str] = {
    LineTubeType.CHEST_TUBE: rf"""
        (?:right|left|bilateral)?\s?(?:chest|pleural|intra-?pleural|thoracic|thorax|intercostal|pleuro?\s?-?x|blake|empyema
            |apical|basal|basilar|bibasilar|bibasal)[\s-]{{1,3}}(?:\w+[\s-]{{1,2}}){{0,2}}?{_DRAIN}
        | (?:chest|pleural)\b[^.;]{{0,40}}?\b{_DRAIN}
        | tube\s+thoracostom(?:y|ies) | thora(?:costomy|cotomy)\s+{_DRAIN} | thoracostom(?:y|ies)
        | pleur-?\s?x(?:\s+{_DRAIN})? | pleurex(?:\s+{_DRAIN})?
        | intercostal\s+{_DRAIN}
        | \b(?:R|L|right|left|bilat\w*)\.?\s+CTs?\b | \b[RL]CTs?\b | \bICCs?\b | \bICDs?\b | \bIPC\b
        | aspira\b""",
    LineTubeType.ENDOTRACHEAL_TUBE: rf"""
        (?:oral\s+|naso-?|oro-?)?(?:endo-?)?(?:tracheal|bronchial)\s+(?:\w+\s+)?{_HEAD}
        | endo-?\s?trach\w*(?:\s+{_HEAD})?
        | (?:oro|naso)-?tracheal(?:\s+{_HEAD})? | \bE\.?\s?T\.?\s?T\b\.? | \bETTs\b
        | \bE\.?\s?T\.?[\s/-]+(?:tubes?|tip|cuff)
        | \bE\.?T\.? (?=\s*(?:,|and|&|/|in|at|\d|is|tip)) | breathing\s+tube
        | (?:double|dual)[\s-]lumen\s+(?:tubes?|endobronchial|endotracheal|tracheal|bronchial|et\b)
        | (?:oro|naso)[\s-]?tracheal | \bDLE?T?T\b
        | (?:re-?)?intubat\w*
        | extubat\w* | airway\s+tube
        | endotracheal\w*""",
    LineTubeType.TRACHEOSTOMY_TUBE: rf"""
        trach(?:e?ostom(?:y|ies)|eotom(?:y|ies))(?:\s+(?:appliance|device|{_HEAD}))? | trache?a?s?(?:\s+{_HEAD})\b
        | \btrach(?:e?s|e)?\b | tracheal\s+(?:cannulas?|t[\s-]tubes?) | \btracheal\s+(?:cannula|appliance)\b
        | trache\w*stom\w* | shiley | bivona | portex
        | montgomery(?:\s+t-?\s?tube)? | laryngectomy\s+tube | t-tube | decannulat\w*""",
    LineTubeType.NASOGASTRIC_TUBE: rf"""
        (?:naso|oro)[\s-]?(?:gastric|enteric|jejunal|duodenal|esophageal|oesophageal)(?:\s+(?:feeding\s+)?{_HEAD})?
        | \b[NO]\.?\s?G\.?(?:/\s?[NO]\.?G\.?)?[\s-]*(?:feeding\s+)?{_HEAD} | \b[NO]\.?G\.?T?s?\b
        | \bN\.?\s?G\.?\s?T\b | \bN[JD]T?\b(?:\s+{_HEAD})?
        | (?:entero|enteric|gastric|enteral|feeding|weighted|decompress\w+|sump|alimentary|stomach|orogastric)\b
            (?:[\s/-]+\w+){{0,3}}?[\s/-]+(?:{_HEAD}|sump)
        | (?:entero|enteric|enteral|feeding)\b | (?:o?esophageal)\s+drainage\s+catheters?
        | do[bp]+\s?-?h?o?f+(?:\s+{_HEAD})? | du[bp]+\s?-?ho?f+(?:\s+{_HEAD})?
        | \bDHTs?\b | \bDHFT\b | salem(?:\s+sump)? | \bsump\b | corpak | cortrak | keofeed | entriflex | levin
        | ryle'?s?(?:\s+tube)? | replogle(?:\s+tube)? | \bFTs?\b""",
    LineTubeType.INTERNAL_JUGULAR_CVC: rf"""
        (?:internal\s+|int\.?\s+)?jugular\b(?:[\s-]+(?!vein)\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|introducer|cordis)
        | \b(?:[RL]T?\.?\s?)?IJV?C?s?\b(?:[\s-]+\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|introducer|cordis)
        | \b[RL]?IJV?s?\b(?!\s+vein) | jugular\b(?!\s+vein) | \b[RL]IJC(?:VC)?\b""",
    LineTubeType.PICC: rf"""
        (?:power)?\s?\b[RL]?P\.?\s?I\.?\s?C\.?\s?C\.?s?\b(?:[\s-]+{_HEAD})? | \bPIC\b(?:[\s-]+{_HEAD})?
        | \bPICCs?\b | powerpicc
        | peripheral(?:ly)?[\s-]+(?:inserted|placed|central)(?:\s+\w+){{0,2}}?\s+{_HEAD}
        | arm\s+(?:central\s+)?{_HEAD}
        | peripherally\s+inserted
        | (?:upper\s+(?:extremity|limb)|brachial|basilic)\s+(?:\w+\s+){{0,3}}?{_HEAD}""",
    LineTubeType.SUBCLAVIAN_CVC_OR_PORT: rf"""
        sub-?\s?clavian\b(?:[\s-]+(?!vein)\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|port\w*|access)
        | \b[RL]?SCV?C?\b(?:[\s-]+\w+){{0,3}}?[\s-]+{_HEAD} | \b[RL]SC\b | \bS/?C\b
        | sub-?\s?clav(?:ian)?\b(?!\s+(?:vein|art))
        | (?:chest(?:\s+wall)?\s+|implant\w+\s+|infusion\s+|subcutaneous\s+|vascular\s+access\s+|venous\s+access\s+)+
            (?:ports?|device)\b
        | port[\s-]?[ao]?[\s-]?caths?\w* | medi-?\s?ports?\b | power-?\s?ports?\b | chemo-?\s?ports?\b
        | infus[ea]-?\s?a?-?\s?ports?\b
        | vasc?u?-?\s?ports? | bard\s?-?ports? | \bports?\b(?:[\s-]+{_HEAD})? | pac\b
        | (?:venous|vascular|implant\w+)\s+access\s+devices? | passports?""",
    LineTubeType.SWAN_GANZ_CATHETER: rf"""
        swans?(?:\s?-?\s?ganz)?(?:\s+{_HEAD})? | (?:pulmonary|pulm\.?)\s+(?:art\w+\.?\s+)?(?:\w+\s+)?{_HEAD}
        | \bP\.?A\.?[\s-]+(?:\w+\s+)?{_HEAD} | \bPACs?\b | \bPA-?C\b | right\s+heart\s+{_HEAD}
        | thermodilution\s+{_HEAD}
        | \bSGC?\b(?:\s+{_HEAD})? | \bS-G\b""",
    LineTubeType.MEDIASTINAL_DRAIN: rf"""
        (?:mediastin\w*|retro-?sternal|sub-?sternal|peri-?cardi\w*|post[\s-]?sternotomy|midline|retro-?cardiac)\b[^.;]{{0,40}}?\b
            (?:{_DRAIN}|blake)
        | \bMTs?\b | {_DRAIN}\b[^.;]{{0,40}}?\b(?:mediastin\w*|peri-?cardi\w*|retro-?sternal)""",
    LineTubeType.INTRA_AORTIC_BALLOON_PUMP: rf"""
        intra-?\s?aortic(?:\s+counter-?\s?pulsation)?\s+balloon(?:[\s-]+(?:counter-?pulsation\s+)?(?:pumps?|{_HEAD}|device))*
        | \bIABPs?\b | \bIABs?\b | \bIABCP?\b | (?:aortic\s+)?balloon\s?-?\s?(?:pumps?|{_HEAD}|device)
        | aortic\s+balloon
        | counter-?\s?pulsation(?:\s+(?:balloon|device|pump|{_HEAD}))? | intra-?\s?aortic\b""",
}
# What may be one of several types: a noun, and words for central lines and drains that leave the vein or space open.
_CENTRAL = rf"""
    (?:central|dialysis|h(?:a?e)mo-?dialysis|venous|vascular)(?:[\s-]+\w+){{0,2}}?[\s-]+(?:{_HEAD}|access|sheath)
    | (?:triple|double|dual|single|quad|multi)[\s-]?lumen(?:\s+\w+){{0,2}}?(?:\s+{_HEAD})? | \bTLCs?\b | \bCV[CL]s?\b
    | (?:h(?:a?e)mo)?dialysis\b | perm-?\s?a?-?\s?cath\w* | vasc?-?\s?caths? | \bTDC\b | quinton\w* | mahurkar
    | trialysis | tesio | palindrome | hickman | broviac | groshong | hohn | tunn?ell?ed\b | \bHD\b(?:\s+{_HEAD})?
    | cordis | introducers?(?:\s+sheaths?)? | sheaths?\b | neck\s+{_HEAD}
    | (?:indwelling\s+)?(?:catheters?|caths?|lines?)\b"""
_DRAINS = rf"""pig\s?-?tails?(?:\s+{_DRAIN})? | drain(?:age)?\s+{_DRAIN} | blakes?(?:\s+{_DRAIN})? | drain(?:s|age)?\b
    | tub(?:es?|ing)\b | cath(?:eter)?s?\b"""
_NOUNS: dict[LineTubeType, str] = {
    LineTubeType.CHEST_TUBE: _DRAINS,
    LineTubeType.ENDOTRACHEAL_TUBE: r"tub(?:es?|ing)\b",
    LineTubeType.TRACHEOSTOMY_TUBE: r"tub(?:es?|ing)\b | cannula\w* | appliances?\b",
    LineTubeType.NASOGASTRIC_TUBE: r"tub(?:es?|ing)\b",
    LineTubeType.INTERNAL_JUGULAR_CVC: _CENTRAL,
    LineTubeType.PICC: _CENTRAL,
    LineTubeType.SUBCLAVIAN_CVC_OR_PORT: _CENTRAL + r" | devices?\b",
    LineTubeType.SWAN_GANZ_CATHETER: r"(?:catheters?|caths?|lines?)\b",
    LineTubeType.MEDIASTINAL_DRAIN: _DRAINS,
    LineTubeType.INTRA_AORTIC_BALLOON_PUMP: r"balloons?\b | pumps?\b | devices?\b | cath(?:eter)?s?\b",
}
_COMPILED = re.IGNORECASE | re.VERBOSE
_PATTERNS = {device: re.compile(pattern, _COMPILED) for device, pattern in _NAMES.items()}
_NOUN_PATTERNS = {device: re.compile(rf"\b(?:{pattern})", _COMPILED) for device, pattern in _NOUNS.items()}
# Words that only look like a name: "side port", "port site", "portable" is no word of its own.
_NOT_A_PORT = re.compile(r"(?:side|proximal|distal)[\s-]+ports?\b|\bports?\s+(?:site|film)", re.IGNORECASE)
# A vein named as a place: "up the right internal jugular", "in the left subclavian".
_INTO = re.compile(
    r"\b(?:in|into|within|at|up|via|through|over|from|near|by|of|towards?|overlying)\s+(?:the\s+)?(?:(?:left|right|[lr]t?\.?|mid|proximal|"
    r"distal|lateral|medial)\s+)*(?:internal\s+|int\.?\s+)?\Z",
    re.IGNORECASE,
)
_VEIN = re.compile(
    r"(?:[rl]t?\.?\s?)?(?:(?:internal\s+|int\.?\s+)?jugular|[rl]?ijv?|sub-?\s?clav(?:ian)?|[rl]?scv?)s?\Z",
    re.IGNORECASE,
)
# A loose name that its place turned into another type.
_BECOMES = {
    (LineTubeType.CHEST_TUBE, LineTubeType.MEDIASTINAL_DRAIN),
    (LineTubeType.INTERNAL_JUGULAR_CVC, LineTubeType.SUBCLAVIAN_CVC_OR_PORT),
    (LineTubeType.INTERNAL_JUGULAR_CVC, LineTubeType.PICC),
}


@lru_cache(maxsize=20_000)  # asked when reading, when proving and when writing the row
def name_in(device_type: LineTubeType, text: str) -> tuple[int, int] | None:
    """Give the first place, `text[start:end]`, of words that name, or may name, this type; None when there are none."""
    named = _specific(device_type, text)
    if named is not None:
        return named
    mentions = read_named(text)
    open_to = False  # a noun that can be this type
    others = False
    for mention in mentions:
        if mention.type == device_type:
            return name_span(text, device_type) or _noun(device_type, text) or _whole(text)
        if not mention.type:
            open_to = open_to or device_type in FAMILIES.get(mention.family, ())
        elif mention.loose and (mention.type, device_type) in _BECOMES:
            open_to = True
        elif mention.type != LOOK_ALIKE and mention.type != "*":
            others = True
    if open_to or not (others or mentions):
        return _noun(device_type, text) or (_whole(text) if open_to else None)
    return None


def _specific(device_type: LineTubeType, text: str) -> tuple[int, int] | None:
    for match in _PATTERNS[device_type].finditer(text):
        if device_type is LineTubeType.SUBCLAVIAN_CVC_OR_PORT and match.group().lower().startswith("port"):
            before = _NOT_A_PORT.search(text, max(0, match.start() - 9))
            if before is not None and before.start() <= match.start() < before.end():
                continue
        start, end = _stripped(text, *match.span())
        if _VEIN.fullmatch(text, start, end) and _INTO.search(text[max(0, start - 60) : start]):
            continue
        return start, end
    return None


def _noun(device_type: LineTubeType, text: str) -> tuple[int, int] | None:
    match = _NOUN_PATTERNS[device_type].search(text)
    return _stripped(text, *match.span()) if match else None


def _whole(text: str) -> tuple[int, int]:
    return _stripped(text, 0, len(text))


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
