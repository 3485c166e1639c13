"""Cues that say whether a finding is there: negation, hedge, history, comparison, and where their reach ends.

Policies, since reports leave them open:
- "no large effusion", "no displaced fracture" deny the finding; the severity of the denied size is kept.
- "likely", "probable", "consistent with", "compatible with" state the finding; "may", "possible", "suggestive of",
  "cannot exclude", "rule out", "versus" hedge it; "unlikely" denies it.
- "A or B", "A versus B" hedge both, except among atelectasis, scar, fibrosis and pleural thickening:
  readers name one linear shadow by either word. "A and/or B", "A/B" state both. "Nodular opacity" states an
  opacity, hedges a nodule.
- "borderline cardiomegaly", "borderline enlarged" state it (minimal), "borderline heart
  size" and "prominent heart" hedge it, "upper limits of normal" denies it.
- Of two sizes the one of this film counts, and both tell the change: "previously large, now small" is mild, improved.
  "Recurrent" is worse; "not larger", "without increase" are unchanged.
- "history of", "to evaluate for", "if", "should X be suspected" say nothing about this film.
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


_SEEN = (
    "seen/identified/visualized/visualised/demonstrated/evident/present/appreciated/detected/noted/apparent/observed/"
    "shown/found/recognized/discerned/visible/suggested"
)
_FILM = "film/films/study/studies/exam/examination/radiograph/radiographs/image/images/one/ones"
_SOME = "some/further/slight/mild/moderate/minimal/continued/continuing/progressive/ongoing/gradual/marked/early"
_PARTLY = "partially/partly/nearly/mostly/almost/incompletely/largely/partial/near/incomplete"

# What is said of a kind -> its phrases. Words without weight here ("the", "definite", "interval", "evidence") and the
# forms of "be" are folded by `finding_spelling` before phrases are looked for.
CUES: dict[Kind, dict[str, str]] = {
    Kind.SIDE: {
        "left": "left|left sided/side|leftward|lll|lul|lingula|lingular",
        "right": "right|right sided/side|rightward|rll|rml|rul|right? middle lobe",
        "both": (
            "both|bilateral|bilat|bilaterally|bibasilar|bibasal|bibasally|biapical|biapically|bibas|bihilar|"
            "both bases/apices|each|left/right than right/left|left/right greater/larger/worse/more than right/left|"
            "left/right side greater/larger/worse/more than right/left side?|left/right >/and/= right/left|"
            "left/right and left/right lung/hemithorax/side|worse/greater/more/larger/greatest/worst/most on/at left/"
            "right|more prominent/extensive/pronounced on/at left/right"
        ),
    },
    Kind.SEVERITY: {
        "minimal": "minimal|minimally|trace|tiny|minute|miniscule|minuscule|subtle|faint|tr|thin? sliver of?",
        "mild": (
            "mild|mildly|small|slight|slightly|sm|minor|small sized|minimal/trace/tiny to mild/small|"
            "mildly to minimally"
        ),
        "moderate": (
            "moderate|moderately|mod|moderate/mod/medium sized/size|mild/small/mildly to moderate/moderately|"
            "small/mild moderate|medium"
        ),
        "severe": (
            "severe|severely|massive|extensive|marked|markedly|tension|huge|sizable|sizeable|considerable|substantial|extremely|"
            "moderate/moderately to? large/severe/marked/severely|advanced|lg|gross"
        ),
    },
    Kind.COMPARISON: {
        # what was not there before is there now: "a nodule, not seen on the prior film"
        "new": (
            "new|newly|developed|development|developing|new from/since prior|"
            f"not be? {_SEEN} previously/before|not previously/before be? {_SEEN}|"
            f"not be? {_SEEN} on/in prior/earlier/preceding/yesterday {_FILM}?|"
            f"be? absent previously/before|be? absent on/in prior/earlier/preceding/yesterday {_FILM}?"
        ),
        "worse": (
            "worse|worsened|worsening|progressed|progression|progressive|progressively|progressing|"
            "more prominent/extensive/pronounced/conspicuous|grown|larger than before/prior|"
            "increase in size|increased in size of|larger|bigger|reaccumulation|reaccumulated|reaccumulating|enlarging|"
            "re accumulation/accumulated/accumulating|aggravated|expanding|growth|growing|have/has? gone up"
        ),
        "recurred": "recurrent|recurrence|recurred|recurring",  # worse, unless a change is told
        "improved": (
            "improved|improving|improvement|improve|resolving|clearing|smaller|"
            "less prominent/extensive/pronounced/conspicuous|reduction|"
            f"{_PARTLY} complete/completely? resolved/cleared/resolution/clearing|lessened|diminishing|decreasing|"
            "decrease in size|regressed|regression|better|lesser|less|"
            f"{_SOME} clearing/resolution|{_PARTLY} completely? drained/evacuated/aspirated|{_PARTLY} drainage|"
            "re expanding|reexpanding|shrunk|shrunken|shrinking|have/has? gone down"
        ),
        "unchanged": (
            "unchanged|stable|similar|persistent|persist|persisting|persisted|no/without/not change/changed|"
            "no/without new/further? increase/decrease/improvement/progression/worsening/change|not appear changed|"
            "not decreased/worsened/improved/progressed|again|redemonstrated|redemonstration|same|"
            "as before|constant|remain|remaining|little/minimal change|little if change|no other change|unaltered|"
            "no/without/lack of? complete? resolution/clearing of?|"
            "longstanding|long standing|not grown|no/without growth|not growing|not much change|"
            "no longer larger/bigger/increasing/enlarging/growing/expanding|"
            "have/has? not resolved/cleared|no change in size|"
            "stable in appearance/size|re demonstrated|continued|continue|no longer worsening"
        ),
    },
    Kind.NEGATION: {
        "": (
            "no|without|free of/from|clear of|negative/neg for|absence of|devoid of|lack of|neither|nor|never|zero|"
            "no any|without any|fail to demonstrate/show/reveal|not show/demonstrate/reveal/have/see/identify|"
            "exclude|excluding|ruling out"
        ),
    },
    Kind.NOT: {
        "": (
            "not|rather than|instead of|as opposed to|simulating|simulate|mimicking|mimic|in lieu of|"
            "not to be confused with"
        ),
    },
    Kind.DENIED: {
        "": (
            f"not be? {_SEEN}|have/has not be {_SEEN}|be? unlikely|thought/felt/considered unlikely|"
            "have/has? be? excluded|be? ruled out|have/has be ruled out|can be excluded|be absent|"
            "have/has? not developed|not suspected|not concern"
        ),
    },
    Kind.RESOLVED: {
        "": (
            "resolved|resolution|resolve|cleared|have/has cleared/resolved/disappeared|resolution of|"
            "completely resolved/cleared|complete resolution/clearing|disappeared|disappearance|no longer|"
            "no longer be? seen/identified/visualized/present/evident/appreciated/apparent/visible/demonstrated/"
            "noted/detected|gone|re expanded|reexpanded|clearing of|"
            "have/has? be? completely/fully/successfully? drained/evacuated|be? completely/fully drained|"
            "tapped|have/has be tapped/aspirated"
        ),
    },
    Kind.HEDGE: {
        "": (
            "may|maybe|might|could|cannot/can not? exclude|cannot/can not? rule out|"
            "unable to completely/entirely? exclude|unable to completely/entirely? rule out|not possible to exclude|"
            "unclear/uncertain if/whether|unclear/uncertain if/whether there be|not clear if/whether|"
            "not clear if/whether there be|cannot/difficult/hard to? be? say/tell/determine/determined if/whether|"
            "cannot/difficult/hard to? be? say/tell/determine/determined if/whether there be|"
            "concern/suspicion of/for|question/possibility of|"
            "raise/raising/raised question/possibility/concern/suspicion of/for|with or without|differential|"
            "differential include|ddx|rule out|possibly|perhaps|potentially|query|less likely|favored over|"
            "more likely than|not? completely/entirely exclude|cannot completely/entirely exclude|not exclude|"
            "not rule out|not able to exclude|without excluding|in appropriate/right/proper/correct clinical? "
            "setting/context"
        ),
    },
    Kind.POSSIBLE: {
        "": "suspect|?|question|potential",
        "either side": "if any|if present|possible|questionable|suspected|equivocal|questioned|doubtful",
    },
    Kind.WEAK_HEDGE: {
        "": (
            "suspicious/concerning/worrisome for/of|suggest|suggesting|suggestion of|suggestive of?|to suggest|"
            "suggested by"
        ),
    },
    Kind.HEDGED: {
        "": (
            "cannot/can/could not? be completely/entirely? excluded|cannot/can/could not? be completely/entirely? "
            "ruled out|not be? completely/entirely? excluded|not be? completely/entirely? ruled out|"
            "may/might/could be present/seen/possible/considered|be possible/suspected/questioned/questionable/"
            "considered/equivocal/indeterminate|remain possible|"
            "be? difficult/hard/impossible to completely/entirely? exclude|"
            "in differential|be less likely|be consideration|would be possible|be of concern|be possibility|"
            "be? difficult/hard/impossible to completely/entirely? rule out|should be considered/suspected/questioned"
        ),
    },
    Kind.HISTORY: {
        "procedure": "status post|statuspost",
        "": (
            "history|history of|treated for|to? evaluate for/of?|evaluation of/for?|to exclude|to rule out/in|"
            "to? assess for|assessment of/for|follow up of/for?|followup of/for?|clinical concern/suspicion for/of|"
            "clinical history of?|indication|post op for|given history of?|risk of/for|symptom of|treatment of/for|"
            "recommend|recommended|correlate/correlation/screening for|"
            "to ensure/document/confirm/assess/demonstrate/verify/allow/until? complete? resolution/clearing of?|"
            "until complete? resolution/clearing of?|ensuring/documenting/confirming resolution/clearing of?"
        ),
        "condition": "if|if/whether there be/remain/persist|should|should there be|whether|in case of|in event of",
    },
    Kind.FOR: {
        "": "for",
    },
    Kind.BREAK: {
        "": "but|however|although|though|yet|whereas|while|;|nonetheless|nevertheless|despite|elsewhere",
    },
    Kind.EXCEPT: {
        "": (
            "except|except for|aside from|apart from|other than|with exception of|save for|exception of|but for|"
            "besides|barring"
        ),
    },
    Kind.THERE: {
        "": "there|there be|there has/have be",
    },
    Kind.WITH: {
        "": "with|accompanied by|along with|associated with",
    },
    Kind.COMMA: {
        "": ",|-|–|—|(|)",
    },
    Kind.AND: {
        "": "and|&|+|as well as|plus|slash|andor|together with",
    },
    Kind.OR: {
        "": "or",
    },
    Kind.VERSUS: {
        "": "versus|v|or versus",
    },
    Kind.VERB: {
        "": (
            "be|has|have|had|appear|seem|seen|noted|identified|demonstrated|visualized|visualised|present|evident|"
            "detected|appreciated|observed|show|demonstrate|contain|look|measure|measuring|project|visible|found|"
            f"apparent|not be? as? well {_SEEN}|not be? {_SEEN} on lateral/frontal/pa/ap|"
            "be? be drained by/via/with|lung be? expanding|larger/bigger/greater/more than 2/3|"
            "should/will/would/may/might/could/to resolve/clear"
        ),
    },
    Kind.SO: {
        "": (
            "consistent/compatible with|in keeping with|representing|represent|reflecting|reflect|"
            "due/related/secondary to|likely|most likely|probable|probably|indicating|indicate|indicative of|from|"
            "typical of|presumably|characteristic/diagnostic of|most/strongly/highly suggestive of|"
            "most compatible/consistent with|because of|attributed/attributable to|caused by|presumed|favored|favor|"
            "favoring|by"
        ),
    },
    Kind.NONE: {
        "": "none|negative|absent|neg|nil",
    },
}


REACH_TO_LIST_END = frozenset({Kind.NEGATION, Kind.HEDGE, Kind.WEAK_HEDGE, Kind.RESOLVED})
REACH_TO_NEXT_NOUN = frozenset({Kind.NOT, Kind.POSSIBLE, Kind.HISTORY, Kind.FOR})
HARD_ENDS = frozenset({Kind.BREAK, Kind.EXCEPT, Kind.THERE, Kind.WITH, Kind.NEGATION, Kind.HEDGE, Kind.HISTORY})
