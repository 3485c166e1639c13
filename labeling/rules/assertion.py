"""Cues that say whether a finding is there: negation, hedge, history, comparison, and where their reach ends.

Policies, since reports leave them open:
- "no large effusion", "no displaced fracture" deny the finding; the severity of the denied size is kept.
- "likely", "probable", "consistent with", "compatible with" state the finding; "may", "possible", "suggestive of",
  "cannot exclude", "rule out", "versus" hedge it; "unlikely" denies it.
- "A or B", "A versus B" hedge both, except among atelectasis, scar, fibrosis and pleural thickening: readers name one
  linear shadow by either word, and the gold's coders take both as stated.
- A whole heading of "borderline": "borderline cardiomegaly", "borderline enlarged" state it (minimal), "borderline heart
  size" and "prominent heart" hedge it, "upper limits of normal" denies it.
- "history of", "to evaluate for", "if" say nothing about this film.
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a phrase does in its sentence."""

    FINDING = 0
    ABNORMALITY = 1
    ASIDE = 2
    ANATOMY = 3
    QUALITY = 4
    SIDE = 5
    SEVERITY = 6
    COMPARISON = 7
    NEGATION = 8  # before a list: "no A, B or C"
    NOT = 9  # before one word: "not enlarged"
    DENIED = 10  # after: "is not seen"
    RESOLVED = 11  # before or after: "resolution of", "no longer seen"
    HEDGE = 12  # before a list: "may represent A or B"
    POSSIBLE = 13  # before one noun: "possible A"
    WEAK_HEDGE = 14  # a hedge that a negation before it swallows: "no opacity suspicious for A"
    HEDGED = 15  # after: "cannot be excluded"
    HISTORY = 16
    FOR = 17  # history only right after a device: "chest tube for pneumothorax"
    BREAK = 18
    EXCEPT = 19
    THERE = 20  # opens a clause of its own
    WITH = 21
    COMMA = 22
    AND = 23
    OR = 24
    VERSUS = 25
    VERB = 26
    SO = 27  # "consistent with": what follows explains what stands before
    NONE = 28  # "none", "negative", "absent": denies what stands before, else is a quality or opens a list


CUES: dict[Kind, dict[str, str]] = {
    Kind.SIDE: {
        "left": "left|lt|l|left sided/side|leftward|lll|lul|lingula|lingular|lt sided/side",
        "right": "right|rt|r|right sided/side|rightward|rll|rml|rul|middle lobe|right middle lobe|rt sided/side",
        "both": "both|bilateral|bilat|bilaterally|bibasilar|bibasal|bibasally|biapical|bibas|bases|apices|"
        "both bases/apices|lung bases/apices|biapically|bilateral bases|both lung bases/apices|left/right than right/left|"
        "left/right greater/larger/worse/more than right/left|left/right > right/left|left/right and/more right/left|left/right = right/left|"
        "each|biapical|lower lobes bilaterally|greater/worse/more/larger on/at left/right than? on? left/right?|worse/greater/larger on left/right|"
        "left/right side? greater/larger/worse/more than right/left side?|bihilar|either",
    },
    Kind.SEVERITY: {
        "minimal": "minimal|minimally|trace|tiny|minute|miniscule|minuscule|subtle|faint|tr",
        "mild": "mild|mildly|small|slight|slightly|sm|minor|small sized|minimal to mild|trace to small|tiny to small|minimal to small|mildly to minimally",
        "moderate": "moderate|moderately|mod|moderate sized|mild to moderate|small to moderate|mildly to moderately|"
        "small moderate|mild moderate|moderate size|mildly moderately|mod sized|medium sized?",
        "severe": "severe|severely|massive|extensive|marked|markedly|tension|huge|sizable|sizeable|moderate to "
        "large/severe/marked|moderately to severely|moderate large/severe|considerable|extremely|very large|advanced|lg|gross",
    },
    Kind.COMPARISON: {
        "new": "new|newly|developed|development|developing|has developed|new from/since prior|in interval",
        "worse": "worse|worsened|worsening|incr|progressed|progression|progressive|progressing|more prominent/"
        "extensive/pronounced/conspicuous/confluent|grown|has grown|larger than before/prior/previous|increase in size|"
        "increased in size of|slightly/somewhat/mildly larger|reaccumulation|reaccumulated|enlarging|aggravated|"
        "now larger|progressively",
        "improved": "improved|improving|improvement|improve|decr|resolving|clearing|smaller|less prominent/extensive/"
        "pronounced/conspicuous/confluent|reduction|partially/partly/nearly/mostly/almost/incompletely/largely/"
        "partial/near/incomplete/substantially completely? resolved/cleared/resolution/clearing|near complete resolution/clearing|partial interval clearing|"
        "lessened|diminishing|decreasing|decrease in size|nearly completely resolved|regressed|regression|better|lesser|almost complete resolution",
        "unchanged": "unchanged|unch|stable|similar|persistent|persist|persisting|persisted|no/without/not change/"
        "changed|not/nor appear/changed changed/from|no/without new? increase/decrease/improvement/progression/worsening|not increased/decreased/worsened/"
        "improved/progressed|again|redemonstrated|redemonstration|same|as before|constant|remain|remaining|"
        "no further increase/change|little/minimal change|little if any change|no other change|unaltered|longstanding|long standing|not grown|"
        "no change in size|without any? change|stable in appearance/size|re demonstrated|continued|continue|relatively? stable|essentially stable/unchanged|no longer worsening",
    },
    Kind.NEGATION: {
        "": "no|without|free of/from|clear of|negative for|neg for|absence of|devoid of|lack of|neither|nor|never|"
        "fail to demonstrate/show/reveal|not show/demonstrate/reveal/have/see/identify|exclude|excluding|no|zero|"
        "ruling out|no longer have|unlikely|ø"
    },
    Kind.NOT: {
        "": "not|rather than|instead of|as opposed to|simulating|simulate|mimicking|mimic|without being|in lieu of|not to be confused with"
    },
    Kind.DENIED: {
        "": "not? be? seen/identified/visualized/visualised/demonstrated/evident/present/appreciated/detected/noted/apparent/"
        "observed/shown/found/suggested/suspected/recognized/discerned/visible/there"
        # only with the negation: see `denied_patterns`
    },
    Kind.RESOLVED: {
        "": "resolved|resolution|resolve|have/has cleared|cleared|has/have resolved|resolution of|completely resolved/cleared|complete resolution/clearing|"
        "disappeared|disappearance|no longer|no longer be? seen/identified/visualized/present/evident/appreciated/apparent/visible/"
        "demonstrated/noted/detected|now absent/gone|gone|has/have disappeared|not longer|evacuated|re expanded|reexpanded"
    },
    Kind.HEDGE: {
        "": "may|might|could|can not/cannot exclude/rule|cannot exclude/rule out?|can not? exclude/rule out?|difficult to exclude|"
        "concern/suspicion of/for|question of|raise/raising/raised question/possibility/concern/suspicion of/for|possibility of|"
        "differential|differential include|ddx|rule out|possibly|perhaps|not exclude|not rule out|does not exclude|"
        "not completely/entirely exclude|cannot completely/entirely/be? exclude|potentially|would be difficult to exclude|query|"
        "hard to exclude|in appropriate/right/proper/correct clinical? setting/context|unable to exclude|less likely|without excluding|not able to exclude"
    },
    Kind.POSSIBLE: {
        "": "possible|questionable|suspected|suspect|equivocal|?|potential|question|questioned|poss|doubtful|indeterminate for|apparent possible|presumptive possible"
    },
    Kind.WEAK_HEDGE: {
        "": "suspicious/concerning/worrisome for/of|suggest|suggesting|suggestive/suggestion of|suggestive|suspect for|to suggest|concern for|suggested by"
    },
    Kind.HEDGED: {
        "": "cannot/can/could not? be completely/entirely? excluded|cannot/can/could not? be completely/entirely? ruled out|not be? "
        "completely/entirely? excluded|not be? completely/entirely? ruled out|may/might/could be also? "
        "present/seen/possible/considered|be also? possible/suspected/questioned/questionable/considered/equivocal/indeterminate|remain "
        "possible|be? difficult/hard to exclude|in differential|be less likely|be consideration|would be possible|be of concern"
    },
    Kind.HISTORY: {
        "": "history|history of|hx|hx of|statuspost|status post|treated for|to? evaluate for/of?|evaluation of/for|evaluation|if|to exclude|to "
        "rule out|to rule in|assess for|assessment of/for|follow up of/for?|followup of/for?|known history of|clinical concern/suspicion for/of|clinical "
        "history of?|indication|post op for|in setting of|given history of?|risk of/for|clinical symptom of|symptom of|treatment of/for|patient history of|"
        "prior history of|recommend|recommended|correlate for|correlation for|screening for|to assess for?"
    },
    Kind.FOR: {"": "for"},
    Kind.BREAK: {"": "but|however|although|though|yet|whereas|while|;|nonetheless|nevertheless|despite|elsewhere"},
    Kind.EXCEPT: {"": "except|except for|aside from|apart from|other than|with exception of|save for|exception of"},
    Kind.THERE: {"": "there|there be|there has/have be"},
    Kind.WITH: {"": "with|accompanied by|along with|associated with"},
    Kind.COMMA: {"": ",|-|–|—|(|)"},
    Kind.AND: {"": "and|&|+|as well as|plus|slash|together with"},
    Kind.OR: {"": "or|andor"},
    Kind.VERSUS: {"": "versus|v|or versus"},
    Kind.VERB: {
        "": "be|has|have|had|appear|seem|seen|noted|identified|demonstrated|visualized|visualised|present|"
        "evident|detected|appreciated|observed|show|demonstrate|contain|look|measure|measuring|project|visible|found|apparent"
    },
    Kind.SO: {
        "": "consistent with|compatible with|in keeping with|representing|represent|reflecting|reflect|due to|likely|most likely|"
        "probable|probably|related to|secondary to|indicating|indicate|indicative of|from|typical of|presumably|suggestive but|characteristic of|diagnostic of|"
        "likely representing/reflecting|most/strongly/highly suggestive/compatible/consistent of/with|because of|attributed to|attributable to|caused by|presumed|favored|favor|favoring|by|as can be seen with"
    },
    Kind.NONE: {"": "none|negative|absent|neg|nil"},
}

_SEEN = (
    "seen/identified/visualized/visualised/demonstrated/evident/present/appreciated/detected/noted/apparent/observed/"
    "shown/found/recognized/discerned/visible/suggested"
)
# The adverbs between are passed over by the lexer.
CUES[Kind.DENIED][""] = (
    f"not be? {_SEEN}|have/has not be {_SEEN}|unlikely|be? unlikely|thought/felt/considered unlikely|be? excluded|excluded|be? ruled out|have/has be excluded|can be excluded|be? absent|not suspected|not a? concern"
)
CUES[Kind.NEGATION][""] = CUES[Kind.NEGATION][""].replace("|unlikely|ø", "|exclude")

SPELLINGS: dict[str, str] = {
    **dict.fromkeys(
        "the a an its this these those that any xxxx evidence significant significantly substantial substantially "
        "appreciable appreciably definite definitely definitively clearly interval focal discrete obvious convincing radiographic "
        "radiographically grossly overtly overt very quite somewhat fairly rather_ currently again_ overall relatively "
        "essentially previously previous visualized_ also large-scale acute_ suspicious_ measurable demonstrable certain frank dominant_ "
        "i.e abnormal_ confluent interim patchy_ our which now still identifiable convincingly clinically adjacent overlying underlying accompanying superimposed compressive associated_".split(),
        "",
    ),
    "s/p": "s/p",
    "vs": "versus",
    "w/": "with",
    "b/l": "b/l",
    "c/w": "c/w",
    "a/w": "with",
    "w/o": "without",
    "ptx": "pneumothorax",
    "pnx": "pneumothorax",
    "ptxs": "pneumothorax",
    "pnthx": "pneumothorax",
    "pthx": "pneumothorax",
    "eff": "effusion",
    "effs": "effusion",
    "effus": "effusion",
    "atx": "atelectasis",
    "atel": "atelectasis",
    "atelect": "atelectasis",
    "opac": "opacity",
    "opacs": "opacity",
    "consol": "consolidation",
    "consolid": "consolidation",
    "infil": "infiltrate",
    "infilt": "infiltrate",
    "pna": "pneumonia",
    "pneu": "pneumonia",
    "cardiomeg": "cardiomegaly",
    "pulm": "pulmonary",
    "vasc": "vascular",
    "cong": "congestion",
    "congest": "congestion",
    "interst": "interstitial",
    "bilat": "bilat",
    "inc": "increased",
    "increases": "increased",
    "incr": "increased",
    "decr": "decreased",
    "dec": "decreased",
    "unch": "unchanged",
    "mediast": "mediastinum",
    "silh": "silhouette",
    "hemidiaph": "hemidiaphragm",
    "diaph": "diaphragm",
    "cpa": "costophrenic_",
    "sl": "slight",
    "degen": "degenerative",
    "calc": "calcified",
    "fxs": "fracture",
    "nl": "normal",
    "norm": "normal",
    "neg": "neg",
    "airspaces": "airspace",
    "esp": "",
    "prob": "probable",
    "poss": "possible",
    "resp": "",
    "mildy": "mild",
    "sml": "small",
    "min": "minimal",
    "hilar": "hilar",
    "hila": "hila",
    "bullae": "bulla",
    "vertebrae": "vertebra",
    "vertebral": "vertebral",
    "ribs": "rib",
    "bones": "bone",
    "metastases": "metastasis",
    "masses": "mass",
    "diaphragms": "diaphragm",
    "opacities": "opacity",
    "densities": "density",
    "cavities": "cavity",
    "lines": "line",
    "lymphnodes": "node",
    "pneumothoraces": "pneumothorax",
    "atelectases": "atelectasis",
    "costophrenic": "costophrenic",
    "sulci": "sulcus",
    "nodules": "nodule",
    "hernias": "hernia",
    "herniae": "hernia",
    "radiographs": "radiograph",
    "persists": "persist",
    "remains": "remain",
    "appears": "appear",
    "suggests": "suggest",
    "represents": "represent",
    "reflects": "reflect",
    "excluded": "excluded",
    "mediastinal": "mediastinal",
    "oedema": "edema",
    "infiltrates": "infiltrate",
    "bases": "bases",
    "apices": "apices",
    "basilar": "basilar",
    "cephalisation": "cephalization",
    "collapses": "collapse",
    "fibroses": "fibrosis",
    "can't": "cannot",
    "isn't": "not",
    "aren't": "not",
    "abnormalities": "abnormality",
    "processes": "process",
    "diseases": "disease",
    "calcifications": "calcification",
    "ptx's": "pneumothorax",
    "dilatation": "dilatation",
    "widenned": "widened",
    "pulmonic": "pulmonary",
    "disk": "disc",
    "tumour": "tumor",
    "haemothorax": "hemothorax",
    "tubes": "tube",
    "catheters": "catheter",
    "spurs": "spur",
    "lungs": "lung",
    "chests": "chest",
    "aeration": "aeration",
    "vasculatures": "vasculature",
    "demonstrates": "demonstrate",
    "shows": "show",
    "mets": "metastasis",
    "injection": "injection",
    "loculated": "loculated",
    "hypoinflated": "hypoinflated",
    "cephalad": "cephalad",
    "osseus": "osseous",
    "bronchovascular": "bronchovascular",
}


REACH_TO_LIST_END = frozenset({Kind.NEGATION, Kind.HEDGE, Kind.WEAK_HEDGE, Kind.RESOLVED})
REACH_TO_NEXT_NOUN = frozenset({Kind.NOT, Kind.POSSIBLE, Kind.HISTORY, Kind.FOR})
HARD_ENDS = frozenset({Kind.BREAK, Kind.EXCEPT, Kind.THERE, Kind.WITH, Kind.NEGATION, Kind.HEDGE, Kind.HISTORY})
