"""How words of findings are written: fillers, abbreviations, irregular plurals. Regular plurals need no entry."""

from __future__ import annotations

# Passed over: they change nothing that is read here. "No definite focal effusion" reads as "no effusion".
_FILLERS = (
    "the a an its this these those that xxxx evidence significant significantly substantially considerably "
    "appreciable "
    "appreciably definite definitely definitively clearly clinically interval focal discrete obvious convincing "
    "convincingly radiographic radiographically grossly overt overtly very quite somewhat fairly overall "
    "relatively "
    "essentially also measurable demonstrable certain frank confluent interim our which still "
    "identifiable adjacent overlying underlying accompanying superimposed compressive esp resp "
    "confidently reliably safely"
)

SPELLINGS: dict[str, str] = {
    **dict.fromkeys(_FILLERS.split(), ""),
    **dict.fromkeys("is are was were been being am".split(), "be"),
    "previous": "prior",
    "/": "slash",
    "s/p": "statuspost",
    "h/o": "history",
    "hx": "history",
    "r/o": "query",
    "d/t": "from",
    "c/w": "representing",
    "a/w": "with",
    "w/": "with",
    "w/o": "without",
    "b/l": "bilateral",
    "and/or": "andor",
    "vs": "versus",
    "can't": "cannot",
    **dict.fromkeys("isn't aren't wasn't weren't hasn't haven't doesn't don't didn't".split(), "not"),
    "l": "left",
    "lt": "left",
    "r": "right",
    "rt": "right",
    # findings
    **dict.fromkeys("ptx ptxs pnx pnthx pthx pneumothoraces".split(), "pneumothorax"),
    **dict.fromkeys("eff effs effus".split(), "effusion"),
    **dict.fromkeys("atx atel atelect atelectases".split(), "atelectasis"),
    **dict.fromkeys("opac opacs".split(), "opacity"),
    **dict.fromkeys("consol consolid".split(), "consolidation"),
    **dict.fromkeys("infil infilt".split(), "infiltrate"),
    **dict.fromkeys("pna pneu".split(), "pneumonia"),
    **dict.fromkeys("cong congest".split(), "congestion"),
    **dict.fromkeys("fxs fx".split(), "fracture"),
    "cardiomeg": "cardiomegaly",
    "oedema": "edema",
    "haemothorax": "hemothorax",
    "tumour": "tumor",
    "cephalisation": "cephalization",
    "mets": "metastasis",
    "dz": "disease",
    "bullae": "bulla",
    # anatomy
    "pulm": "pulmonary",
    "pulmonic": "pulmonary",
    "vasc": "vascular",
    "interst": "interstitial",
    "mediast": "mediastinum",
    "silh": "silhouette",
    "hemidiaph": "hemidiaphragm",
    "diaph": "diaphragm",
    "osseus": "osseous",
    "disk": "disc",
    "sulci": "sulcus",
    "cpas": "cpa",
    "vertebrae": "vertebra",
    "lymphnodes": "node",
    # qualities and changes
    **dict.fromkeys("inc incr increases".split(), "increased"),
    **dict.fromkeys("dec decr".split(), "decreased"),
    "unch": "unchanged",
    **dict.fromkeys("currently presently".split(), "now"),
    "degen": "degenerative",
    "calc": "calcified",
    "nl": "normal",
    "norm": "normal",
    "min": "minimal",
    "mildy": "mild",
    "sl": "slight",
    "sml": "small",
    "prob": "probable",
    "poss": "possible",
    "widenned": "widened",
    # words that one wrong letter would turn into a finding
    "injection": "injection",
    "loculated": "loculated",
    "hemithorax": "hemithorax",
}
