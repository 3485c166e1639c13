"""What a report says about a device besides its name and place: verdicts, removals, advice, and the words around them."""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rules.lexer import expand
from labeling.vocabulary import Advice as A
from labeling.vocabulary import StatedPosition as S

# A verdict is firm ("satisfactory position") or weak ("unchanged", "in place"): a weak one yields to a bad tip.
# A bare word ("low") counts only as a statement of its own ("the tube is low").
FIRM, WEAK, BARE = "firm", "weak", "bare"

_GOOD = (
    "standard/satisfactory/appropriate/good/adequate/expected/proper/acceptable/usual/optimal/normal/correct/suitable/ideal"
    "/reasonable/conventional/excellent/unremarkable/customary/anatomic/desired/fine/ok/okay/right/anatomical/nominal"
)
_WHERE = "position/location/placement/positioning/alignment/site/place/positions/locations/course"
_WELL = (
    "satisfactorily/appropriately/properly/adequately/well/optimally/correctly/acceptably/suitably/reasonably/ideally"
)
_PUT = "positioned/placed/located/situated/sited/seated/inserted"
_SAME = (
    "unchanged|stable|unaltered|no change|no interval change|no significant interval? change|no substantial interval? change"
    "|no appreciable interval? change|without change|without interval change|without significant interval? change|not changed"
    "|no major change|no definite change|no relevant change|not significantly/substantially/appreciably changed|similar position"
    "|similar in position|similarly positioned|same position|same location|similar location|as before|similar to prior"
    "|similar to before|similar positioning|no new change|remain same|constant in position"
    "|static|similar configuration|similar in location|similar in positioning|similar in appearance|not moved|persist in place"
    "|without significant change|no other change|change none|left in place|left in situ|left in position|kept in place|stay in place"
    "|no movement|no obvious change|in position|in place|in situ|insitu|remain in place|maintained|similar placement"
    "|no apparent change|without appreciable change|not altered|no positional change"
)
_STATED: dict[tuple[S, str], str] = {
    (
        S.SATISFACTORY,
        FIRM,
    ): f"{_GOOD} {_WHERE}|{_WELL} {_PUT}|satisfactory/appropriate/standard/adequate/optimal/good/acceptable"
    "/ideal/satisfactorily/appropriately/ok/okay|position satisfactory/appropriate/good/adequate/acceptable|where expected|as expected"
    f"|{_GOOD} in position|satisfactory/appropriate/good in location/appearance|{_GOOD} and stable/unchanged position"
    f"|{_GOOD} stable/unchanged position|appropriate/good/satisfactory depth|{_GOOD} central position"
    "|not malpositioned|no malposition|without malposition|unchanged in position|unchanged position|stable position|stable in position|stably positioned"
    "|no change in position|no interval change in position|position unchanged|position stable|position is unchanged|position is stable"
    "|unchanged in location|unchanged location|no significant change in position|position maintained",
    (S.SATISFACTORY, WEAK): _SAME,
    (
        S.MALPOSITIONED,
        FIRM,
    ): "malpositioned|malposition|malpositioning|misplaced|misplacement|mispositioned|misdirected|mal positioned"
    "|mal position|suboptimal|suboptimally positioned/placed/located|suboptimal position/location/placement/positioning|abnormal"
    " position/location/course/positioning|nonstandard position/location|non standard position/location|unsatisfactory"
    "|unsatisfactory position/location|unsatisfactorily positioned|inappropriate position/location|inappropriately"
    " positioned/placed/located|incorrect position/location/placement|incorrectly positioned/placed|improper"
    " position/location/placement|improperly positioned/placed|aberrant position/course|aberrant|aberrantly positioned|ectopic"
    " position/location|dislodged|displaced|dislodgement|displacement|migrated|migration|poor position|poorly positioned/placed"
    "|unusual position/location/course|anomalous position/course|inadequate position/placement/positioning|inadequately"
    " positioned|not ideal|not ideally positioned|not optimal|not optimally positioned|not well positioned|not satisfactory|not"
    f" adequate|not appropriate|not appropriately/adequately/properly/correctly positioned/placed|not in {_GOOD} {_WHERE}"
    "|less than ideal|less than optimal position?|questionable position|wrong position/place/location|maldirected|misplaces"
    "|atypical position/course/location|not adequately positioned|not optimum|undesirable position|not well placed"
    f"|not {_GOOD} {_WHERE}|malpositioned position|nonoptimal|non optimal|malplaced|malplacement|unacceptable position",
    (
        S.KINKED,
        FIRM,
    ): "kinked|kink|kinking|bent|sharply angulated|acutely angulated|acute angulation|sharp bend|sharp angulation"
    "|crimped|acute bend|sharply bent|pinched|abrupt angulation|sharp turn|acute kink",
    (
        S.COILED,
        FIRM,
    ): "coiled|coil|coiling|curled|curl|curling|curled up|coiled up|recoiled|coiled upon itself|curled upon itself|bunched"
    "|knotted|knot|tangled|redundantly coiled",
    (S.LOOPED, FIRM): "looped|loop|looping|forms loop|loop upon itself|redundant loop|redundancy|redundant",
    (
        S.DOUBLED_BACK,
        FIRM,
    ): "doubled back|double back|doubling back|doubled up|folded|folded back|fold back|folded over|folded on itself"
    "|folds upon itself|folded upon itself|turned back|turn back|reversed course|reverses course|doubled upon itself|flipped"
    "|retroflexed|turned upon itself|bent back|bends back|bent backward|turned cephalad|double on itself|doubled over|fold over"
    "|doubled on itself|reverse course|curves back|looped back|loop back|curled back|turn back on itself|turned back on itself"
    "|doubled|hairpin turn|u turn|recurved|turn upward|doubling up|flipped back|hairpin|loops back on itself",
    (
        S.TOO_HIGH,
        FIRM,
    ): "too high|high lying|high riding|high in position|high position|somewhat/slightly/relatively/rather/mildly/quite"
    "/fairly/very/abnormally/unusually/moderately/excessively/little high|high in placement|highly positioned|highly placed"
    "|too proximal|too shallow|high placement|positioned high|positioned too high|high up|shallow position|shallow|somewhat/slightly"
    "/relatively/too/rather high in position/location|high positioning|high location|too superior|proximal position|too cephalad"
    "|not deep enough|not far enough|not advanced far enough|insufficiently advanced|short of optimal position|high positioned"
    "|not sufficiently advanced|borderline high|too far out|slightly/somewhat high position|somewhat/slightly/relatively proximal",
    (
        S.TOO_LOW,
        FIRM,
    ): "too low|low lying|low riding|low in position|low position|somewhat/slightly/relatively/rather/mildly/quite/fairly/very"
    "/abnormally/unusually/moderately/excessively/little low|low in placement|too deep|too far|too distal|deep position|too far in"
    "|low placement|positioned low|positioned too low|deeply positioned|somewhat/slightly/relatively/rather deep|low positioning"
    "|somewhat/slightly/relatively/too/rather low in position/location|too far distal|too far distally|too inferior|deep in position"
    "|too distally|low location|excessively deep|overly deep|too far down|overinserted|advanced too far|inserted too far|low positioned"
    "|more distal than desired|borderline low|slightly/somewhat/rather/too low position|deeper than desired|too caudal|distally"
    " positioned|too distal in position|deep placement|overly distal|slightly/somewhat/relatively distal|excessively distal"
    "|too peripheral|distal position|overdistal",
    (S.TOO_HIGH, BARE): "high",
    (S.TOO_LOW, BARE): "low|deep",
    (
        S.FRACTURED,
        FIRM,
    ): "fractured catheter|catheter fracture|fractured|catheter fragment|broken|catheter discontinuity|discontinuity"
    "|discontinuous|disconnected|disconnection|catheter disconnection|pinch off|pinched off|sheared|severed|catheter is fractured"
    "|line fracture|tube fracture|break in catheter|catheter break|catheter rupture|ruptured|torn",
}
_ADVICE: dict[tuple[A, str], str] = {
    (A.ADVANCE, "base"): "advance|push in|insert further|further insertion|deeper insertion",
    (A.ADVANCE, "past"): "advanced|pushed in|inserted further|pushed further|inserted deeper|pushed",
    (A.ADVANCE, "noun"): "advancing|advancement|pushing|further advance",
    (A.WITHDRAW, "base"): "withdraw|retract|pull back|pull out|pullback|back out|back up|pull",
    (A.WITHDRAW, "past"): "withdrawn|retracted|pulled back|pulled out|backed out|backed up|pulled|drawn back|pulled up",
    (
        A.WITHDRAW,
        "noun",
    ): "withdrawing|retracting|pulling back|pulling|withdrawal|retraction|backing out|pulling out|pulling it back"
    "|slight pullback",
    (A.REPOSITION, "base"): "reposition|adjust|readjust|redirect|manipulate|re position|relocate|correct|replace",
    (
        A.REPOSITION,
        "past",
    ): "repositioned|adjusted|readjusted|redirected|manipulated|re positioned|relocated|rotated|corrected|revised",
    (
        A.REPOSITION,
        "noun",
    ): "repositioning|adjusting|adjustment|readjustment|redirecting|redirection|manipulation|revision|reinsertion"
    "|re positioning|change in position|position adjustment|positional adjustment|re siting|resiting",
}
_ROLES: dict[tuple[str, str], str] = {
    ("side", "left"): "left|left sided|lt|left side|left sided approach|lue|lll|leftward|on left side|left lateral",
    ("side", "right"): "right|right sided|rt|right side|rue|rightward|right sided approach",
    (
        "side",
        "both",
    ): "bilateral|bilaterally|both left and right|left and right|right and left|both right and left|b/l|bilat|bibasilar"
    "|biapical|bibasal|right slash left|left slash right|both sides|either side|each side",
    (
        "vein",
        "ij",
    ): "ij|ijv|internal jugular|internal jugular vein|jugular|jugular vein|internal jugular venous|int jugular|ij vein"
    "|external jugular|external jugular vein|ej|internal jugular central|transjugular|ij venous|i . j .",
    ("vein", "subclavian"): "subclavian|subclavian vein|subclavian venous|sc|scv|sub clavian|sub clavian vein"
    "|subclavian central|mid/distal/proximal/lateral/medial subclavian vein?",
    (
        "vein",
        "femoral",
    ): "femoral|femoral vein|femoral venous|common femoral vein?|transfemoral|groin|lower extremity|inferior vena caval",
    (
        "vein",
        "arm",
    ): "arm|upper extremity|upper limb|basilic|basilic vein|brachial|brachial vein|cephalic|cephalic vein|antecubital"
    "|forearm|upper arm|lue arm|antecubital vein",
    (
        "vein",
        "chest",
    ): "chest wall|anterior chest wall|anterior chest|chest|hemithorax|pectoral|neck|thorax|hemi thorax|chest side",
    (
        "mod",
        "",
    ): "approach|access|tunneled|nontunneled|non tunneled|lumen|dual|double|triple|single|quadruple|quad|large|small|bore|caliber"
    "|new|newly|placed|inserted|power|injectable|french|venous|central|temporary|indwelling|known|existing|recently|cuffed|tip|oral"
    "|nasal|type|double lumen|dual lumen|triple lumen|single lumen|sided|catheterized|weighted|interval|standard bore|implanted|size"
    "|fr|additional|second|third|another|other|remaining|remainder|patient|percutaneous|surgical|subcutaneous|vascular|infusion"
    "|accessed|current|visualized|same|thin|overlying|silastic|pigtail type|multi|lumen|first|long|short|term|ultrasound|guided"
    "|larger|smaller|more|radiopaque|1|2|3|one|two|three|four|multiple|several|both|pair|numerous|couple|portion"
    "|previously|seen|noted|described|demonstrated|prior|old|preexisting|pre existing|anterior|posterior|initial|original|separate|coexisting|presumed|probable|likely|apparent|possible",
    ("tip", ""): "tip|distal tip|tips|distal end|distal aspect|terminus|end|distal extent|tip end|terminate"
    "|terminates|terminating|ends|ending|inferior tip|leading edge|distal portion|marker|radiopaque marker|radiopaque tip|proximal"
    " marker|superior marker|tip marker|metallic tip|end point|terminal portion|terminal end|terminal tip|termination|superior tip|weighted"
    " tip|end hole|terminated|tip marker|distal tips|tip region|leading tip|balloon tip|terminal marker|opaque marker|proximal tip"
    "|upper tip|metallic marker|distal marker|proximal end|metal tip|lower end|bevel|upper marker|distal terminus",
    (
        "side_port",
        "",
    ): "side port|side hole|sidehole|sideport|proximal port|proximal side port/hole|last side port/hole|side ports|side holes"
    "|sideholes|proximal hole|first side hole|side port marker|sentinel hole|sentinel eye|most proximal side port/hole|distal side"
    " port/hole|last hole|drainage hole|proximal sidehole/sideport|distal port|side port tube|side port site|proximal most side"
    " port/hole|drainage port|most proximal sidehole|last sidehole|last sideport|most proximal drainage hole|drain hole|port hole|ports side",
    (
        "off",
        "",
    ): "off film|off image|off inferior margin|off field view|out view|out field view|out field|beyond field view|beyond"
    " film|beyond image|beyond inferior/lower margin|below film|below image|below field view|inferior margin film/image|lower edge"
    " film/image|bottom film/image|off bottom|off screen|off edge|off study|outside field view|outside field|not included"
    "|excluded|excluded from view|not imaged|incompletely imaged|partially imaged|beyond imaged field|beyond imaged area|off lower"
    " edge/margin|below imaged field|beyond edge film/image|beyond margin|below lower margin|beyond lower edge|beyond view|off inferior"
    " edge|off inferior aspect|inferior edge film/image|below inferior margin|not on film|not on image|not covered|past inferior margin"
    "|past lower margin|beyond scope|collimated off|coned off|off inferior film|off inferior image|below level film/image|inferior"
    " aspect film/image|off view|inferior field view|beyond bottom|not fully included|outside film|outside image|off radiograph|below"
    " radiograph|beyond radiograph|lower margin film/image|below lower edge|below inferior edge|off lower film|past bottom|off inferior"
    " portion|off lower image|exit inferior|beyond lower limit|below lower limit|inferior border film/image|lower limit film/image"
    "|lower limit study|inferior extent film/image|inferior limit film/image|outside imaged area|outside imaged field|below margin"
    "|outside collimated field|below collimated field|cut off|cutoff|cropped|beyond limit|beyond inferior|beyond confine|not in field view"
    "|not within field view|outside range|outside view|inferior margin|out range|lower border film/image|inferior image|below edge|beyond"
    " edge|past edge|past margin|off margin|out image|out film|off portion|beyond inferior edge|beyond lower|out imaged field",
    (
        "unseen",
        "",
    ): "not seen|not visualized|not identified|not well seen|not clearly seen|not well visualized|not clearly visualized"
    "|not definitely seen|not visible|not clearly visible|not well visible|not clearly identified|not demonstrated|not definitely identified"
    "|obscured|not evident|indistinct|difficult to see|difficult to visualize|poorly seen|poorly visualized|cannot be seen|not appreciated"
    "|cannot be visualized|cannot be identified|not clearly delineated|cannot be determined|unclear|uncertain|not confidently seen"
    "|not included|not well delineated|not definitively seen|cannot be traced|not traced|cannot be followed|not well demonstrated|not"
    " clearly defined|not well defined|not able to be seen|not readily seen|not delineated|not well identified|not depicted|not confidently"
    " identified|difficult to identify|difficult to ascertain|indeterminate|not definitively identified|not definitely visualized"
    "|not definitively visualized|obscures|cannot be clearly seen|cannot be confidently identified|cannot be ascertained|poorly defined"
    "|poorly delineated|not perceptible|difficult to delineate|not discernible|not fully seen|not fully visualized|not optimally"
    " visualized|not adequately visualized|incompletely visualized|not localized|cannot be localized|difficult to discern"
    "|cannot be well seen|not distinctly seen|hard to see|unable to be seen|not well appreciated|not apparent|not detected|not traceable"
    "|hidden|lost|not determined|not well assessed|not assessed|not confidently visualized|cannot be accurately localized|not shown|inapparent",
    (
        "absent",
        "",
    ): "no longer seen|no longer present|no longer visualized|no longer identified|no longer in place|no longer evident|no longer"
    " visible|no longer demonstrated|no longer noted|no longer in situ|no longer appreciated|no longer there|no longer apparent|no longer"
    " on film|no longer projected|no longer detected|no longer shown|no longer depicted|not seen anymore|not present anymore|now absent"
    "|absent|has been taken out|taken out|been discontinued|discontinued|came out|been pulled and removed|self removed|removed|pulled and removed"
    "|been explanted|explanted|no longer intubated|no longer any|self extubated|not present now",
    ("removal", ""): "removal|interval removal|explantation|discontinuation|discontinuance|interval discontinuation",
    (
        "placed",
        "noun",
    ): "placement|interval placement|insertion|interval insertion|introduction|installation|reinsertion|implantation",
    ("placed", "base"): "place|insert|to place|to insert",
    ("placed", "past"): "placed|inserted|introduced|implanted|positioned|has been placed|been inserted",
    (
        "exchange",
        "noun",
    ): "exchange|replacement|interval exchange|interval replacement|conversion|swap|changeover|change",
    (
        "exchange",
        "past",
    ): "exchanged|replaced|converted|changed out|swapped|substituted|upsized|changed to|changed for|replaces|replacing",
    ("remain", ""): "remain|persist|still present|still in place|again seen|again noted|redemonstrated|continue",
    ("pronoun", ""): "it|its|this|these|they|their|them",
    ("both", ""): "both|respectively|each|all|all three|all of which|both of which",
    (
        "ordinal",
        "",
    ): "one|other|another|second|first|third|former|latter|more superior|more inferior|superior one|inferior one|the other|one"
    " which|second one|upper one|lower one|more apical|more basal|more lateral|more medial|larger one|smaller one|more cephalad"
    "|more caudal|upper most|uppermost|lowermost|superior most|inferior most|more basilar|more anterior|more posterior|other one|remaining one",
    (
        "finding",
        "",
    ): "pneumothorax|ptx|pneumothoraces|hydropneumothorax|hemothorax|hemopneumothorax|effusion|pleural effusion|fluid|pleural fluid"
    "|opacity|opacification|opacities|atelectasis|atelectases|atelectatic|consolidation|consolidative|edema|infiltrate|airspace"
    "|air space|pneumonia|congestion|cardiomegaly|cardiomediastinal|emphysema|subcutaneous emphysema|subcutaneous air|subcutaneous gas"
    "|hemorrhage|collapse|nodule|mass|density|lucency|scarring|scar|fibrosis|disease|process|volume|lung volume|aeration|inflation"
    "|expansion|reexpansion|contour|silhouette|vascularity|vasculature|markings|interstitial|contusion|hematoma|aspiration|thickening"
    "|blunting|cardiac silhouette|heart size|cardiac enlargement|mediastinal contour|mediastinal silhouette|mediastinal shift|hilar contour"
    "|pneumomediastinum|pneumoperitoneum|free air|airspace disease|pleural thickening|elevation|rib fracture|clavicular fracture"
    "|fracture|clavicle fracture|vertebral fracture|humeral fracture|infiltration|haziness|haze|lesion|mediastinal widening"
    "|abnormality|abnormalities|changes|change in lung|empyema|abscess|calcification|granuloma|cavitation|distention|distension"
    "|gastric distention|gastric distension|pleural air|air fluid level|gas|pleural collection|collection|ards|heart failure|chf|bleb"
    "|bulla|bullous|degenerative|osteophyte|osseous|bony|bone|ileus|hernia repair|widening|tortuosity|mediastinum stable|appearance heart"
    "|appearance lungs|interstitium|hyperinflation|volumes|edematous|complication|hyperexpansion|tortuous|ectasia|ectatic|enlarged"
    "|airspace opacity|loculated|loculation|loculated fluid|overload",
    (
        "modal",
        "",
    ): "should|could|recommend|recommended|recommendation|recommends|recommending|suggest|suggested|suggestion|consider|considered"
    "|consideration|advise|advised|may|might|need|needed|require|required|must|please|would|benefit|can|warrant|warranted|indicated|desired"
    "|necessary|ideally|propose|proposed|prudent|preferred|be|advisable|helpful|requiring|requires|request|requested|ought|urge|advice",
    (
        "past_time",
        "",
    ): "previously|formerly|previous|prior film|prior study|prior exam|prior radiograph|on prior|earlier|had been|used"
    " to|old film|prior|no longer|rather than|instead|originally|initially|on previous|earlier today|yesterday",
    ("now", ""): "now|currently|presently|today|at present|current",
    (
        "direction",
        "above",
    ): "above|well clear|clear|superior to|cephalad to|cephalad|cranial to|proximal to|superior|higher than|cranially|cephalic to"
    "|north|proximally|craniad to|craniad|superiorly to|cephalad from|above level|proximal from|superior from",
    (
        "direction",
        "below",
    ): "below|inferior to|caudal to|caudad to|beneath|under|lower than|caudal|inferior from|caudally|south|caudad|inferior",
    (
        "direction",
        "beyond",
    ): "beyond|past|distal to|into|distal from|distal|across|through|lateral to|peripheral to|lateral"
    " from|distally|deep to",
    (
        "direction",
        "from",
    ): "from|to|proximity to|away from|distance from|with respect to|relative to|within|short of|off|near|at",
    (
        "path",
        "",
    ): "via|through|traverse|traversing|course|coursing|cross|crossing|pass|passing|extend|extending|along|travel|descend|descending"
    "|follow|following course|enter|entering|pass through|course through|passes into|by way|loop through|traversed",
    ("unit", "cm"): "cm|centimeter|cms|cent|centimetre|cm.",
    ("unit", "mm"): "mm|millimeter|millimetre|mms",
    (
        "for_dialysis",
        "",
    ): "for dialysis|for hemodialysis|for hemofiltration|for cvvh|for crrt|for renal replacement|for hd|for cvvhd"
    "|for plasmapheresis|for apheresis|for hemodiafiltration",
    (
        "planned",
        "",
    ): "planned|plan|pending|awaiting|scheduled|candidate|if|anticipated|before|prior to|pre|unless|unable to|attempted|attempt|failed"
    "|unsuccessful|in anticipation|in preparation|possible need|awaits|preparation",
}


def context_phrases() -> Iterator[tuple[str, tuple[str, object]]]:
    """Give (phrase, (kind, payload)) for the lexicon."""
    for role, patterns in _ROLES.items():
        kind, value = role
        for pattern in patterns.split("|"):
            for words in expand(pattern):
                yield " ".join(words), (kind, value)
    for stated, patterns in _STATED.items():
        for pattern in patterns.split("|"):
            for words in expand(pattern):
                yield " ".join(words), ("stated", stated)
    for how in _HARDLY:
        for seen in _SEEN:
            yield f"{how} {seen}", ("unseen", "")
    for advice, patterns in _ADVICE.items():
        for pattern in patterns.split("|"):
            for words in expand(pattern):
                yield " ".join(words), ("advice", advice)


_HARDLY = (
    "not|not well|not clearly|not definitely|not definitively|not fully|not adequately|not completely|not optimally|not readily"
    "|not confidently|not reliably|not entirely|not easily|not distinctly|not otherwise|cannot be|cannot be well|can not be|cannot"
    " be clearly|cannot be definitely|cannot be confidently|could not be|poorly|incompletely|difficult to|hard to|suboptimally"
    "|not really|not at all|not currently|cannot be reliably|cannot be accurately|not directly|not convincingly|unable to be"
).split("|")
_SEEN = (
    "seen|visualized|identified|visible|shown|demonstrated|delineated|defined|discerned|evaluated|assessed|appreciated|imaged"
    "|traced|followed|localized|determined|depicted|included|ascertained|resolved|detected|distinguished|see|visualize|identify"
    "|assess|evaluate|trace|follow|discern|delineate|apparent|evident|perceptible|covered|displayed|recognized|confirmed"
).split("|")


SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("the", "of", "a", "an", "'s", "level", "approximately", "approx", "about", "roughly"), ""),
    "/": "slash",
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
