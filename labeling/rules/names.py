"""The words that can name each line or tube, and where in a sentence they stand.

The lists are wide on purpose: they refuse evidence that never names the device, they do not find devices. A sentence
that
says "catheter" may speak of a central line; whether it does is read in `labeling.rules.devices`.
"""

from __future__ import annotations

import re

from labeling.vocabulary import LineTubeType

_HEAD = r"(?:tubes?|catheters?|caths?|lines?|drains?|cannulas?|cannulae)"
_DRAIN = r"(?:drain(?:s|age)?|tubes?|tubing|catheters?|pigtails?|thoracostom(?:y|ies))"

# One pattern a type; the longest way of saying it first, because the words found are shown in the row as written.
_NAMES: dict[LineTubeType, str] = {
    LineTubeType.CHEST_TUBE: rf"""
        (?:right|left|bilateral)?\s?(?:chest|pleural|intra-?pleural|thoracic|thorax|intercostal|pleuro?\s?-?x|blake|empyema
            |apical|basal|basilar|bibasilar|bibasal)[\s-]{{1,3}}(?:\w+[\s-]{{1,2}}){{0,2}}?{_DRAIN}
        | (?:chest|pleural)\b[^.;]{{0,40}}?\b{_DRAIN}
        | tube\s+thoracostom(?:y|ies) | thora(?:costomy|cotomy)\s+{_DRAIN} | thoracostom(?:y|ies)
        | pig\s?-?tails?(?:\s+{_DRAIN})? | pleur-?\s?x(?:\s+{_DRAIN})? | pleurex(?:\s+{_DRAIN})?
        | intercostal\s+{_DRAIN}
        | \b(?:R|L|right|left|bilat\w*)\.?\s+CTs?\b | \b[RL]CTs?\b | \bICCs?\b | \bICDs?\b | \bIPC\b
        | drain(?:age)?\s+{_DRAIN} | aspira\b | blakes? | drains?\b | drainage\b | tubes\b | tube\b
        | cath(?:eter)?s?\b""",
    LineTubeType.ENDOTRACHEAL_TUBE: rf"""
        (?:oral\s+|naso-?|oro-?)?(?:endo-?)?(?:tracheal|bronchial)\s+(?:\w+\s+)?{_HEAD}
        | endo-?\s?trach\w*(?:\s+{_HEAD})?
        | (?:oro|naso)-?tracheal(?:\s+{_HEAD})? | \bE\.?\s?T\.?\s?T\b\.? | \bETTs\b
        | \bE\.?\s?T\.?[\s/-]+(?:tubes?|tip|cuff)
        | \bE\.?T\.? (?=\s*(?:,|and|&|/|in|at|\d|is|tip)) | breathing\s+tube
        | (?:double|dual)[\s-]lumen\s+(?:tubes?|endobronchial|endotracheal|tracheal|bronchial|et\b)
        | (?:oro|naso)[\s-]?tracheal | \bDLE?T?T\b
        | (?:re-?)?intubat\w*
        | tubes?\s+(?:\w+\s+){{0,3}}?(?:in|within)\s+(?:the\s+)?trachea | extubat\w* | airway\s+tube
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
        | ryle'?s?(?:\s+tube)? | \bFTs?\b | tubes?\b""",
    LineTubeType.INTERNAL_JUGULAR_CVC: rf"""
        (?:internal\s+|int\.?\s+)?jugular\b(?:[\s-]+(?!vein)\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|introducer|cordis)
        | \b(?:[RL]T?\.?\s?)?IJV?C?s?\b(?:[\s-]+\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|introducer|cordis)
        | \b[RL]?IJV?s?\b | (?:internal\s+)?jugular\b | (?:central|dialysis|h(?:a?e)mo-?dialysis|venous)
            (?:[\s-]+\w+){{0,2}}?[\s-]+(?:{_HEAD}|access|sheath)
        | (?:triple|double|dual|single|quad|multi)[\s-]?lumen(?:\s+\w+){{0,2}}?(?:\s+{_HEAD})? | \bTLCs?\b
        | \bCVCs?\b | \bCVLs?\b
        | (?:h(?:a?e)mo)?dialysis\b | perm-?\s?a?-?\s?cath\w* | vasc?-?\s?caths? | \bTDC\b | \b[RL]IJC(?:VC)?\b
        | quinton\w* | mahurkar | trialysis | tesio
        | palindrome | hickman | broviac | groshong | hohn | tunn?ell?ed\b | \bHD\b(?:\s+{_HEAD})? | central\s+{_HEAD}
        | cordis | introducers?(?:\s+sheaths?)? | sheaths?\b | neck\s+{_HEAD}
        | (?:indwelling\s+)?(?:catheters?|lines?)\b""",
    LineTubeType.PICC: rf"""
        (?:power)?\s?\b[RL]?P\.?\s?I\.?\s?C\.?\s?C\.?s?\b(?:[\s-]+{_HEAD})? | \bPIC\b(?:[\s-]+{_HEAD})?
        | \bPICCs?\b | powerpicc
        | peripheral(?:ly)?[\s-]+(?:inserted|placed|central)(?:\s+\w+){{0,2}}?\s+{_HEAD}
        | arm\s+(?:central\s+)?{_HEAD}
        | peripherally\s+inserted
        | (?:upper\s+(?:extremity|limb)|brachial|basilic)\s+(?:\w+\s+){{0,3}}?{_HEAD}""",
    LineTubeType.SUBCLAVIAN_CVC_OR_PORT: rf"""
        sub-?\s?clavian\b(?:[\s-]+(?!vein)\w+){{0,4}}?[\s-]+(?:{_HEAD}|sheath|port\w*|access)
        | \b[RL]?SCV?C?\b(?:[\s-]+\w+){{0,3}}?[\s-]+{_HEAD} | \b[RL]SCV?\b | \bSCV?\b | sub-?\s?clavian
        | (?:chest(?:\s+wall)?\s+|implant\w+\s+|infusion\s+|subcutaneous\s+|vascular\s+access\s+|venous\s+access\s+)+
            (?:ports?|device)\b
        | port[\s-]?[ao]?[\s-]?caths?\w* | medi-?\s?ports?\b | power-?\s?ports?\b | chemo-?\s?ports?\b
        | infus[ea]-?\s?a?-?\s?ports?\b
        | vasc?u?-?\s?ports? | bard\s?-?ports? | \bports?\b(?:[\s-]+{_HEAD})? | pac\b
        | (?:venous|vascular|implant\w+)\s+access\s+devices? | passports?
        | hickman | broviac""",
    LineTubeType.SWAN_GANZ_CATHETER: rf"""
        swans?(?:\s?-?\s?ganz)?(?:\s+{_HEAD})? | (?:pulmonary|pulm\.?)\s+(?:art\w+\.?\s+)?(?:\w+\s+)?{_HEAD}
        | \bP\.?A\.?[\s-]+(?:\w+\s+)?{_HEAD} | \bPACs?\b | \bPA-?C\b | right\s+heart\s+{_HEAD}
        | thermodilution\s+{_HEAD}
        | \bSGC?\b(?:\s+{_HEAD})? | \bS-G\b | pulmonary\s+artery\b""",
    LineTubeType.MEDIASTINAL_DRAIN: rf"""
        (?:mediastin\w*|retro-?sternal|sub-?sternal|peri-?cardi\w*|post[\s-]?sternotomy|midline|retro-?cardiac)\b[^.;]{{0,40}}?\b
            (?:{_DRAIN}|blake)
        | \bMTs?\b | {_DRAIN}\b[^.;]{{0,40}}?\b(?:mediastin\w*|peri-?cardi\w*|retro-?sternal)""",
    LineTubeType.INTRA_AORTIC_BALLOON_PUMP: rf"""
        intra-?\s?aortic(?:\s+counter-?\s?pulsation)?\s+balloon(?:[\s-]+(?:counter-?pulsation\s+)?(?:pumps?|{_HEAD}|device))*
        | \bIABPs?\b | \bIABs?\b | \bIABCP?\b | (?:aortic\s+)?balloon\s?-?\s?(?:pumps?|{_HEAD}|device)
        | aortic\s+balloon
        | counter-?\s?pulsation(?:\s+(?:balloon|device|pump|{_HEAD}))? | intra-?\s?aortic\b | \bballoon\b""",
}
_PATTERNS = {device: re.compile(pattern, re.IGNORECASE | re.VERBOSE) for device, pattern in _NAMES.items()}
# Words that only look like a name: "side port", "port site", "portable" is no word of its own.
_NOT_A_PORT = re.compile(r"(?:side|proximal|distal)[\s-]+ports?\b|\bports?\s+(?:site|film)", re.IGNORECASE)


def name_in(device_type: LineTubeType, text: str) -> tuple[int, int] | None:
    """Give the first place, `text[start:end]`, of words that can name this type; None when there are none."""
    pattern = _PATTERNS[device_type]
    for match in pattern.finditer(text):
        if device_type is LineTubeType.SUBCLAVIAN_CVC_OR_PORT and match.group().lower().startswith("port"):
            before = _NOT_A_PORT.search(text, max(0, match.start() - 9))
            if before is not None and before.start() <= match.start() < before.end():
                continue
        start, end = match.span()
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        return start, end
    return None
