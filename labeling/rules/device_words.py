"""What lines and tubes are called, and what only looks like one.

Patterns are `labeling.rules.lexer` patterns on folded words: "a/b" is either word, "a?" may be missing; articles and "of"
are passed over, "/" is the word "slash", and hyphens are white space.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from labeling.rules.lexer import expand
from labeling.vocabulary import LineTubeType as T

LOOK_ALIKE = "look_alike"  # a device of none of the ten types: it takes its own predicates and gives no entry


class Name(NamedTuple):
    """A device as named.

    type: one of the ten types, LOOK_ALIKE, or "" for a bare noun ("catheter") that only context can type.
    family: the bare noun's family (catheter, line, tube, drain, port, sheath), or "".
    vein: "ij", "subclavian" when the name itself says it.
    loose: the name fits more than one type ("central line", "pigtail"); a closer word may change it.
    """

    type: str
    subtype: str = "standard"
    plural: bool = False
    vein: str = ""
    side: str = ""
    loose: bool = False
    family: str = ""
    removed: bool = False


_TUBE = "tube/catheter/line/cannula"
_DRAIN = "drain/tube/catheter/pigtail"
_CATH = "catheter/line/cath"
_LUMEN = "triple/double/dual/single/quad/multi"

# (type, subtype, loose, patterns)
_TABLE: list[tuple[str, str, bool, str]] = [
    (
        T.ENDOTRACHEAL_TUBE,
        "standard",
        False,
        "ett|endotracheal|endotracheal tube/tubing/cannula/catheter|endo tracheal tube|et tube|e t tube|e t t|et tip"
        "|orotracheal/nasotracheal tube?|oro/naso tracheal tube?|breathing tube|tracheal tube|intubation tube|airway tube"
        "|intubated|reintubated"
        "|endotracheal airway|orotracheal/endotracheal intubation|endotrach tube?",
    ),
    (
        T.ENDOTRACHEAL_TUBE,
        "double_lumen",
        False,
        "double/dual lumen endotracheal/endobronchial/et/tracheal/bronchial tube?|double/dual lumen ett/tube|endobronchial tube"
        "|dlt|dlett|bronchial blocker tube",
    ),
    (
        T.TRACHEOSTOMY_TUBE,
        "standard",
        False,
        "tracheostomy|tracheostomy tube/cannula/catheter/device/appliance|tracheotomy|tracheotomy tube/cannula"
        "|trach|trach tube/cannula/device/appliance|trache|trache tube|shiley|shiley tube|bivona|bivona tube|portex tube?"
        "|montgomery tube|montgomery t tube?|laryngectomy tube|tracheal cannula|tracheal t tube|tracheostomy t tube",
    ),
    (
        T.NASOGASTRIC_TUBE,
        "standard",
        False,
        "ngt|ogt|ng|og|ng tube/catheter/line|og tube/catheter|n g tube|o g tube|n g t|ng slash og tube?|og slash ng tube?"
        "|ngt slash ogt|ogt slash ngt|nasogastric|nasogastric tube/catheter/line|orogastric|orogastric tube/catheter"
        "|naso/oro gastric/enteric tube|nasal/oral gastric/enteric tube|nasogastric slash orogastric tube"
        "|orogastric slash nasogastric tube"
        "|gastric tube|gastric decompression/suction tube|esophagogastric tube|esophageal tube|enterogastric tube"
        "|salem sump|salem sump tube|sump tube|gastric sump|levin tube|ryle tube?|stomach tube|decompression tube",
    ),
    (
        T.NASOGASTRIC_TUBE,
        "standard",
        True,
        "enteric tube/catheter|enteric suction/drainage/decompression tube/catheter|enteral tube|esophagogastric tube|gi tube"
        "|esophageal/gastric drainage tube|gastric drain|esophageal drainage catheter|upper enteric drainage? tube",
    ),
    (
        T.NASOGASTRIC_TUBE,
        "feeding",
        False,
        "feeding tube/catheter|enteric/nasogastric/nasoenteric/gastric/enteral/ng/weighted/orogastric/oral/nasal feeding tube"
        "|weighted tube|weighted enteric tube|weighted tip feeding tube|small bore feeding tube"
        "|dobhoff/dobbhoff/dubhoff/dobhof/dubbhoff/dobbhof/dophoff/dopoff|dobhoff/dobbhoff/dubhoff/dophoff tube/catheter"
        "|dobhoff/dobbhoff feeding tube|dob hoff|dob hoff tube|dobb hoff tube?|dht|dhft|nasoenteric|nasoenteric tube"
        "|nasoenteral tube|nasojejunal|nasojejunal tube|nasoduodenal tube?|naso jejunal/duodenal tube|nj tube|njt|nd tube"
        "|corpak|corpak tube|cortrak|cortrak tube|keofeed tube?|entriflex tube?|dobhoff type feeding? tube|feeding tubing"
        "|dobbhoff type feeding? tube|ft tip",
    ),
    (
        T.INTERNAL_JUGULAR_CVC,
        "standard",
        True,
        "cvc|cvl|tlc|central line/catheter|central venous line/catheter/cath|central venous access catheter/line/device"
        f"|central venous access|central access catheter/line|{_LUMEN} lumen catheter/line|tlc catheter/line"
        f"|{_LUMEN} lumen central venous? line/catheter|triple lumen|venous catheter/line|indwelling venous? catheter"
        "|hickman|hickman catheter/line|broviac|broviac catheter|groshong|groshong catheter|hohn catheter"
        "|tunneled catheter/line|tunneled central venous? catheter/line|vascular access catheter|central vascular catheter"
        "|central vein catheter/line|vascular catheter|cvp line/catheter|central lines|cv line/catheter|central cath"
        "|neck line/catheter|central iv line|central intravenous line/catheter|chest wall? central venous line/catheter|arrow catheter",
    ),
    (
        T.INTERNAL_JUGULAR_CVC,
        "dialysis",
        True,
        "dialysis catheter/line|hemodialysis catheter/line|hd catheter/line|hd cath|permcath|perm cath|perm a? cath|permacath"
        "|vascath|vas cath|vasc cath|quinton|quinton catheter|mahurkar|mahurkar catheter|quinton mahurkar catheter"
        "|trialysis|trialysis catheter|tesio|tesio catheter|palindrome|palindrome catheter|permcath/permacath catheter"
        "|tunneled dialysis/hemodialysis/hd catheter|dialysis/hemodialysis central venous? catheter/line|tdc|shiley dialysis"
        " catheter|dialysis access catheter|cvvh/crrt catheter|apheresis/pheresis/plasmapheresis catheter|perm cath catheter"
        "|large bore dialysis catheter|dialysis venous catheter",
    ),
    (
        T.INTERNAL_JUGULAR_CVC,
        "introducer_sheath",
        True,
        "cordis|cordis catheter/sheath/introducer|introducer|introducer sheath/catheter|vascular sheath|venous sheath|sheath"
        "|central venous sheath|sheath introducer|mac introducer|mac catheter/line|venous/vascular introducer sheath?"
        "|swan ganz? introducer/sheath|swanganz introducer/sheath|catheter/pa sheath|access sheath|jugular sheath",
    ),
    (
        T.PICC,
        "standard",
        False,
        "picc|picc line/catheter|picc line catheter|p i c c line?|pic line/catheter|pic|power picc|powerpicc"
        "|peripherally inserted/placed central? venous? catheter/line|peripheral inserted central venous? catheter/line"
        "|peripherally inserted central venous? catheter line|arm line|arm central line|picc lines"
        "|arm/extremity picc|peripheral central venous? catheter/line|peripherally inserted catheter/line"
        "|upper extremity central venous? catheter/line|upper extremity catheter/line|picc line tubing",
    ),
    (
        T.SUBCLAVIAN_CVC_OR_PORT,
        "port",
        False,
        "portacath|port cath|port acath|porta cath|portocath|port cath catheter|port catheter|portacath catheter|mediport|medi port"
        "|mediport catheter|powerport|power port|infusaport|infusa port|infuse port|infuseaport|infusion port"
        "|infusion port catheter|chemotherapy/chemo port|chemoport|chemo/chemotherapy port catheter|chest port"
        "|chest wall port|chest port catheter|chest wall port catheter|implanted/implantable port|implanted/implantable chest port"
        "|implanted venous? access port/device|venous/vascular access port/device|chest wall infusion port|chest infusion port"
        "|vascular access port catheter|subcutaneous port|subcutaneous access port|subcutaneous venous access port|port"
        "|chest wall port cath|chest port cath|bard port|bardport|vasport|vascuport|tunneled port|access port|venous port"
        "|port reservoir|port device|chest wall mediport|passport|central venous port|cv port|dual/double/single lumen port"
        "|power injectable port|central venous access port|implanted central venous access port|port venous catheter",
    ),
    (
        T.SWAN_GANZ_CATHETER,
        "standard",
        False,
        "swan|swan ganz|swanganz|swan ganz catheter/line|swan catheter/line|swanganz catheter|pac|pa catheter/line/cath"
        "|pulmonary artery/arterial catheter/line|pulmonary catheter|pulmonary artery/arterial flotation catheter"
        "|pulmonary artery/arterial pressure catheter|right heart catheter|thermodilution catheter|sgc|sg catheter"
        "|swan ganz pulmonary artery catheter|swan ganz pa catheter|pulmonary artery swan ganz catheter"
        "|pulmonary artery balloon catheter|right heart catheterization catheter|swann ganz catheter?",
    ),
    (
        T.CHEST_TUBE,
        "standard",
        False,
        "chest tube/drain/catheter|chest tube catheter|thorax drain/drainage/tube|thoracic drain/tube/catheter|pleural"
        f" {_DRAIN}|intrapleural {_DRAIN}|pleural drainage {_DRAIN}|pleural pigtail|pleural pigtail {_DRAIN}"
        f"|pigtail pleural {_DRAIN}|pigtail pleural drainage {_DRAIN}|pigtail chest tube/catheter/drain|chest pigtail"
        f"|chest pigtail catheter/drain|thoracostomy|thoracostomy {_DRAIN}|tube thoracostomy|thoracotomy tube/drain"
        f"|intercostal {_DRAIN}|intercostal chest drain/tube|icc|pleurx|pleurex|pleur x|pleurx/pleurex {_DRAIN}|pleur x {_DRAIN}"
        "|empyema tube/drain|tunneled pleural catheter/drain|thoracostomy pigtail catheter|chest drainage tube/catheter"
        "|indwelling pleural catheter|surgical chest tube/drain|pleural blake drain?|blake pleural drain?"
        "|small/large bore chest tube/drain/catheter|pleural tubing|ipc"
        "|hemothorax drain|pneumothorax drain/catheter/tube|pleural space drain|pigtail thoracostomy tube/catheter",
    ),
    (
        T.CHEST_TUBE,
        "standard",
        True,
        "pigtail|pigtail catheter/drain/tube|pigtail drainage catheter|drainage tube/catheter|drain tube/catheter|blake drain?"
        "|blake drainage tube/catheter|small bore catheter/drain|pigtail type catheter|aspira catheter|drain catheter",
    ),
    (
        T.MEDIASTINAL_DRAIN,
        "standard",
        False,
        f"mediastinal {_DRAIN}|mediastinal chest tube/drain|mediastinal drainage {_DRAIN}|mediastinal blake drain?"
        f"|retrosternal/substernal {_DRAIN}|anterior/posterior mediastinal {_DRAIN}|anterior/posterior mediastinal chest tube"
        f"|post sternotomy drain/tube|mediastinal surgical drain|mediastinal thoracostomy tube|poststernotomy drain/tube"
        "|superior/inferior/midline mediastinal drain/tube|postoperative mediastinal drain/tube|midline drain|midline chest"
        " tube/drain|transmediastinal drain/tube|mediastinal pigtail drain/catheter|blake mediastinal drain|mediastinal"
        " slash chest tube|retrocardiac drain/tube|mt|mts",
    ),
    (
        T.MEDIASTINAL_DRAIN,
        "pericardial",
        False,
        f"pericardial {_DRAIN}|pericardial drainage {_DRAIN}|pericardial pigtail {_DRAIN}|pericardial blake drain?"
        "|pericardiocentesis catheter/drain|pigtail pericardial drain/catheter",
    ),
    (
        T.INTRA_AORTIC_BALLOON_PUMP,
        "standard",
        False,
        "iabp|iab|iabp catheter/device/balloon/marker|intraaortic/intra aortic balloon|intraaortic/intra aortic balloon"
        " pump/catheter/device|intraaortic/intra aortic balloon pump catheter/device|intra aortic balloon counterpulsation"
        " device/catheter/pump?|intraaortic balloon counterpulsation device/catheter/pump?|balloon pump|balloon pump catheter"
        "|aortic balloon|aortic balloon pump/catheter|aortic balloon pump catheter|aortic counterpulsation device/balloon/catheter"
        "|counterpulsation device/balloon/catheter/pump|intra/intraaortic/aortic counterpulsation balloon|intraaortic pump|"
        "intra aortic counterpulsation balloon/device|intraaortic pump device|intra aortic pump",
    ),
    (
        LOOK_ALIKE,
        "standard",
        False,
        "pacemaker|pacer|pacer/pacing/pacemaker wire/lead/electrode/device/generator|pacing catheter|pacemaker pack|icd|aicd"
        "|icd lead/generator/device|aicd lead/device|defibrillator|defibrillator lead/device/generator|cardioverter"
        " defibrillator|generator|lead|electrode|cardiac device|cardiac pacing device|cardiac rhythm device|loop recorder"
        "|transvenous pacer/pacemaker|transvenous pacing wire/lead/catheter|temporary pacing wire/lead/catheter|temporary"
        " pacemaker/pacer|epicardial wire/lead/pacing|epicardial pacing/pacer wire/lead|biventricular pacemaker/pacer/icd|crt"
        "|impella|impella device/catheter/pump|ecmo|ecmo cannula/catheter/tube/line|ecmo venous/arterial cannula|cannula"
        "|venous/arterial cannula|bypass cannula|avalon cannula|avalon|lvad|lvad device/pump/cannula|rvad|ventricular assist"
        " device|assist device|tandem heart|tandemheart|protek duo|peg|peg tube|pej tube|g tube|gj tube|j tube|gastrostomy"
        "|gastrostomy tube/catheter|gastrojejunostomy tube/catheter?|jejunostomy tube/catheter?|percutaneous gastrostomy tube?"
        "|percutaneous feeding/enteric/endoscopic gastrostomy? tube|percutaneous endoscopic gastrostomy tube?|gastric band"
        "|lap band tubing?|lap band port|gastric band port|gastric/band port|gtube|jtube|surgical feeding tube|jejunal feeding"
        " tube via abdominal wall|feeding jejunostomy tube?|feeding gastrostomy tube?|esophageal temperature probe|temperature"
        " probe|esophageal probe/stent|tee probe|transesophageal probe/echo|esophageal/rectal thermometer|nasal/esophageal"
        " thermistor|ph probe|esophageal manometer/balloon|midline catheter|midline iv|midline venous catheter|femoral line"
        "/catheter/sheath|femoral venous line/catheter/sheath|femoral central venous? line/catheter|femoral dialysis catheter"
        "|femoral approach catheter/line|femoral cvc|transfemoral catheter|inferior approach catheter/line|ivc filter|filter"
        "|vp shunt|ventriculoperitoneal shunt|ventriculoperitoneal shunt catheter/tubing|shunt|shunt catheter/tubing|vp shunt"
        " catheter/tubing|ventriculoatrial/ventriculopleural shunt catheter?|denver shunt|peritoneal dialysis catheter|pd"
        " catheter|peritoneal catheter|biliary drain/stent/catheter/tube|biliary drainage catheter|perihepatic drain/catheter"
        "|hepatic drain|subhepatic drain|abdominal drain/catheter/tube/pigtail|abdominal drainage catheter|abdominal pigtail"
        " catheter/drain|perihepatic pigtail catheter/drain|biliary pigtail catheter/drain|hepatic pigtail catheter/drain"
        "|jp drain|jackson pratt drain?|surgical drain|penrose drain?|percutaneous drain|cholecystostomy tube/catheter/drain"
        "|cholecystostomy|nephrostomy tube/catheter|nephrostomy|nephroureteral stent|ureteral stent|double j stent|renal"
        " pigtail|subphrenic drain/catheter|perisplenic drain/catheter|neck drain|wound drain|subcutaneous drain|breast drain"
        "|axillary drain|soft tissue drain|subgaleal drain|lumbar drain|rectal tube|foley catheter|urinary catheter|t tube"
        "|penrose|aortic stent|aortic stent graft|stent graft|endograft|stent|tracheal stent|bronchial stent|airway stent"
        "|endobronchial valve/stent/coil/blocker|coronary stent|svc stent|venous stent|pulmonary artery stent|cardiomems"
        "|cardiomems device/sensor|pulmonary artery pressure sensor/monitor|pressure sensor|umbilical venous/arterial"
        " catheter/line|umbilical line/catheter|uvc|uac|arterial line/catheter|art line|a line|aline|radial line|peripheral iv"
        "|peripheral line/catheter/cannula|peripheral intravenous line/catheter|iv|iv line/catheter/tubing|intravenous"
        " line/catheter/cannula|epidural catheter|paravertebral catheter|pain catheter/pump|nerve block catheter|on q"
        " catheter|spinal/nerve/vagal/vagus/deep brain stimulator|stimulator|stimulator lead|intrathecal catheter/pump"
        "|spinal catheter|infusion pump|insulin pump|valve|prosthetic valve|tavr|tavi|mitral clip|watchman|occluder|sternal"
        " wire|sternotomy wire|cerclage wire|wire|guidewire|guide wire|clip|surgical clip|staple|suture|embolization coil|coil"
        " pack|screw|plate|rod|ekg/ecg/eeg lead/wire/electrode|monitoring lead/wire/electrode|telemetry lead/wire/monitor"
        "|overlying wire/lead/tube/tubing|external wire/lead/tube/tubing/line|oxygen tubing/tube/cannula/line|nasal cannula"
        "|nasal prong|oxygen mask|ventilator/respirator/ventilatory tubing|ventilator tube|cpap/bipap mask|heating blanket"
        "|sengstaken blakemore tube|blakemore tube|minnesota tube|bravo capsule|capsule|pessary|bullet|shrapnel|bb"
        "|tracheostomy site/scar/stoma/tract/collar/mask|tracheotomy scar/stoma|trach collar/mask/site|port site|port film"
        "|chest tube site/tract/track/insertion|chest tube tract/track/entry/defect|chest tube insertion site|chest tube entry"
        " site|picc team/nurse|picc line team|line/tube insertion site|tube thoracostomy tract|chest tube to? suction"
        " canister|heimlich valve|drainage bag|collection bag|breast implant/expander/prosthesis|tissue expander|port expander"
        "|expander port|ommaya reservoir|ommaya|holter|monitor|monitor lead|transcutaneous lead|pad|defibrillator/pacing/pacer"
        " pad|pacing pad|bed/table/blanket artifact|brachytherapy catheter|ablation catheter|cardiac catheterization|heart"
        " catheterization|aortic/coronary catheter|angiographic catheter|swan ganz wire|microcatheter|balloon kyphoplasty"
        "|bronchial tree|swan neck|cerebral? ventricular shunt catheter?|ventriculostomy catheter|baclofen pump|sponge|gossypiboma"
        "|esophageal doppler probe?|probe|recorder|tracheal bronchus|ekg tab|snap|button|necklace|earring|hearing aid|carotid"
        " line|mitraclip|annuloplasty ring|left atrial line/catheter|la line|right atrial line/lead|hepatic artery/vein"
        " catheter|portal vein catheter|transhepatic catheter|translumbar catheter|nasal trumpet|nasal airway|oral airway"
        "|bite block|laryngeal mask|lma|esophageal airway|king airway|combitube|pleurodesis|pleural line/plaque/catheterization",
    ),
    (
        "no_device",
        "standard",
        False,
        "bowel loop|loop bowel|dilated loop|kerley line|kerley b? line|skin line|suture line|staple line|fracture line|septal line|fissure line|azygoesophageal"
        " line|paratracheal line/stripe|paraspinal line/stripe|junction line|joint line|aortopulmonary line|white line"
        "|pleural reflection/stripe/fluid/effusion/thickening|mediastinal line|interstitial/reticular/linear line|linear"
        " opacity|line shadow|subpleural line|lung line|bowel line|visceral pleural line|pleural edge|visceral pleural edge"
        "|b line|heart line|midclavicular line|axillary line|growth line|portable|portal vein|nipple line|flight line|air line|baseline|hairline|fat line|psoas line|curvilinear line|dense line"
        "|eustachian tube|fallopian tube|x ray tube|neural tube|test tube|pleural tube line|dna line|treatment line|tooth"
        "|demarcation line|line demarcation|fluid line",
    ),
]
# A bare noun: typed by a vein, a side, a place or an earlier sentence.
_BARE = {
    "catheter": "catheter|cath",
    "line": "line",
    "tube": "tube|tubing",
    "drain": "drain",
    "device": "device|appliance",
}
_GROUP = (
    "line and tube|tube and line|line tube and drain|line and drain|tube and drain|tube line and drain|line tube drain"
    "|support/supportive/supporting line|support/supportive/supporting tube|support/supportive/supporting line and tube"
    "|support/supportive/supporting tube and line|support/supportive/supporting apparatus|life support line/device/apparatus"
    "|support/supportive/supporting device|support/supportive/supporting hardware|support/supportive/supporting equipment"
    "|support/supportive/supporting structure|support/supportive/supporting catheter|medical support device|medical device"
    "|medical hardware/apparatus|monitoring device|monitoring and support device/line/apparatus|support and monitoring"
    " device/line/apparatus/equipment|monitoring and supportive/supporting device|tube line and catheter|tube and catheter|line"
    " tube and catheter|line and catheter|indwelling device|indwelling line and tube|indwelling device|tube and line and drain"
    "|invasive device|life support|line slash tube|tube slash line|line device|ancillary device|indwelling support device"
    "|catheter and tube|support line tube and drain|line and support device|monitoring line and tube|tube and support device"
    "|line tube|hardware and line|support device and line|catheter and line|monitoring and support line and tube"
)
# Two kinds of tube that share one noun: "ET and NG tubes", "mediastinal and chest tubes". The adjective alone names a
# device only before "and", and the noun.
_SHARED = {
    T.ENDOTRACHEAL_TUBE: "et|tracheal|orotracheal|endotracheal",
    T.NASOGASTRIC_TUBE: "enteric|gastric|ng|og|nasogastric|orogastric|feeding|esophageal",
    T.TRACHEOSTOMY_TUBE: "tracheostomy|trach",
    T.CHEST_TUBE: "chest|pleural|thoracostomy|intercostal",
    T.MEDIASTINAL_DRAIN: "midline|mediastinal|pericardial|retrosternal|substernal",
    T.PICC: "picc",
}
PLURAL_NOUNS = frozenset(
    "tube catheter line drain pigtail cannula port picc sheath introducer cvc ngt ett iabp lead wire pump dobhoff swan"
    " thoracostomy tracheostomy device structure apparatus dht".split()
)


def _plural(words: tuple[str, ...]) -> tuple[str, ...] | None:
    return (*words[:-1], words[-1] + "s") if words[-1] in PLURAL_NOUNS else None


def device_phrases() -> Iterator[tuple[str, tuple[str, Name]]]:
    """Give (phrase, (kind, name)) for the lexicon; kinds: device, vein, bare, group, nothing."""
    for device, subtype, loose, patterns in _TABLE:
        kind = "nothing" if device == "no_device" else "device"
        for pattern in patterns.split("|"):
            for words in expand(pattern):
                name = Name(str(device), subtype, loose=loose)
                yield " ".join(words), (kind, name)
                many = _plural(words)
                if many is not None:
                    yield " ".join(many), (kind, name._replace(plural=True))
    for word in ("extubated", "extubation"):
        yield word, ("device", Name(T.ENDOTRACHEAL_TUBE, removed=True))
    yield "bilateral cts", ("device", Name(T.CHEST_TUBE, side="both", plural=True))
    yield "decannulated", ("device", Name(T.TRACHEOSTOMY_TUBE, removed=True))
    yield "decannulation", ("device", Name(T.TRACHEOSTOMY_TUBE, removed=True))
    for side, letter in (("right", "r"), ("left", "l")):
        for short in (f"{letter}ij", f"{letter}ijv", f"{letter} ij"):
            yield short, ("vein", Name(T.INTERNAL_JUGULAR_CVC, vein="ij", side=side))
        for short in (f"{letter}sc", f"{letter}scv", f"{letter} sc"):
            yield short, ("vein", Name(T.SUBCLAVIAN_CVC_OR_PORT, vein="subclavian", side=side))
        for noun in ("ijc", "ijcvc", "ij cvc"):
            yield f"{letter}{noun}", ("device", Name(T.INTERNAL_JUGULAR_CVC, vein="ij", side=side))
        yield f"{letter}ct", ("device", Name(T.CHEST_TUBE, side=side))
        yield f"{side} ct", ("device", Name(T.CHEST_TUBE, side=side))
        yield f"{side} cts", ("device", Name(T.CHEST_TUBE, side=side, plural=True))
        yield f"{side} one", ("bare", Name("", side=side, family="one"))
        yield f"{side} sided one", ("bare", Name("", side=side, family="one"))
        yield f"{letter}picc", ("device", Name(T.PICC, side=side))
        yield f"{letter}ue picc", ("device", Name(T.PICC, side=side))
    for family, patterns in _BARE.items():
        for word in patterns.split("|"):
            yield word, ("bare", Name("", family=family))
            yield word + "s", ("bare", Name("", family=family, plural=True))
    for pattern in _GROUP.split("|"):
        for words in expand(pattern):
            yield " ".join(words), ("group", Name("", plural=True))
            yield (
                " ".join(word + "s" if word in _GROUP_NOUNS else word for word in words),
                ("group", Name("", plural=True)),
            )


_GROUP_NOUNS = frozenset("line tube drain device catheter structure".split())
SHARED_ADJECTIVES: dict[str, Name] = {
    word: Name(str(device), "feeding" if word == "feeding" else "pericardial" if word == "pericardial" else "standard")
    for device, patterns in _SHARED.items()
    for word in patterns.split("|")
}
