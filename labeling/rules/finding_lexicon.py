"""The words of findings: what each label is called in reports; anatomy is in `finding_anatomy_words`.

A pattern is a phrase; "a/b" stands for either word, "a?" for a word that may be missing, "|" parts patterns. Words are
singular and lower case. The longest phrase wins, so a look-alike is kept apart by listing it: under its own label, or
under ASIDE when it is none.
"""

from __future__ import annotations

# label -> phrases. "a+b" is two labels of one phrase, "a+b?" leaves the second open. What "collapse", "volume_loss" and
# "cm" are, the sentence tells.
FINDINGS: dict[str, str] = {
    "hyperinflation": (
        "hyperinflation|hyperinflated|hyper inflation/inflated|hyperexpansion|hyperexpanded|hyper expanded/expansion|"
        "overinflation|overinflated|over inflated/inflation|overexpanded|over expanded|hyperaeration|hyperaerated|"
        "hyperlucent lung/chest|lung? hyperlucency|hyperlucency|hyperdistention|hyperdistended|air trapping|"
        "large/high/elevated/increased lung? volume|emphysematous hyperinflation|overaeration|overaerated"
    ),
    "interstitial_opacity": (
        "interstitial opacity/marking/prominence/thickening/density/pattern/change/coarsening/"
        "abnormality/process/opacification|interstitial disease|"
        "prominent/coarse/coarsened/increased/accentuated interstitial/lung marking|"
        "increased/prominent/coarse/coarsened interstitium|"
        "reticular opacity/marking/density/pattern/change/infiltrate?|"
        "reticulonodular opacity/marking/density/pattern/change/infiltrate?|reticulation|septal thickening/line|"
        "interstitial lung? marking prominence|prominence of interstitial/lung marking|"
        "increase/increased in interstitial marking|chronic interstitial"
    ),
    "interstitial_opacity+infiltrate": "interstitial infiltrate/infiltration",
    "interstitial_opacity+lung_opacity": "interstitial and/slash alveolar/airspace/alveolar opacity/infiltrate/"
    "disease/process",
    "pleural_effusion+pleural_thickening": "pleural fluid/effusion and/or/andor/slash pleural? thickening",
    "interstitial_lung_disease": (
        "interstitial lung disease|chronic interstitial lung? disease|ild|uip|usual interstitial pneumonia|"
        "interstitial pneumonitis|honeycombing|honeycomb|nsip|idiopathic pulmonary? fibrosis|ipf"
    ),
    "pulmonary_fibrosis": (
        "pulmonary? fibrosis|fibrotic change/lung/disease/opacity?|pulmonary/lung/interstitial fibrosis|fibrosing|"
        "fibrotic|interstitial fibrotic change"
    ),
    "atelectasis": "atelectasis|atelectatic|lobar/segmental collapse",
    "volume_loss": "volume loss|loss of lung? volume",
    "collapse": "collapse|collapsed|lung/lobe collapse|collapsed lung/lobe|collapse of lung/lobe",
    "costophrenic_angle_blunting": "blunted costophrenic|costophrenic/cp angle? blunting",
    "pleural_effusion": (
        "effusion|pleural effusion/fusion|hydrothorax|hemothorax|chylothorax|empyema|"
        "pleural fluid/liquid/collection|pleural fluid collection|parapneumonic effusion|fluid in pleural space|"
        "fluid in minor/major? fissure|fissural fluid|layering fluid|subpulmonic fluid/effusion|"
        "pleural/parapneumonic fluid|loculated pleural? fluid/collection|loculated pleural? fluid collection|"
        "pleural based fluid? collection"
    ),
    "pneumothorax": "pneumothorax|pleural air|air in pleural space",
    "pleural_effusion+pneumothorax": (
        "hydropneumothorax|hemopneumothorax|haemopneumothorax|pyopneumothorax|hydro pneumothorax"
    ),
    "pleural_effusion+pericardial_effusion": (
        "pleural or/and/andor/nor pericardial effusion|pericardial or/and/andor/nor pleural effusion"
    ),
    "adenopathy": "adenopathy|lymphadenopathy|lymph? node enlargement|bulky hilum|nodal enlargement",
    "enlarged_pulmonary_artery": "pulmonary artery/arterial enlargement/dilatation/dilation/prominence",
    "arterial_calcification": (
        "atherosclerosis|atherosclerotic disease/change/calcification/plaque/aorta?|"
        "atheromatous calcification/disease/plaque/change/aorta?|"
        "vascular/arterial/coronary/aortic/arch calcification|"
        "vascular/arterial/coronary/aortic calcific density/deposit|coronary artery disease? calcification|"
        "coronary artery? atherosclerosis|arteriosclerosis|arteriosclerotic|calcific atherosclerosis|calcific aortic|"
        "atherosclerotic vascular disease|calcified artery/vessel|arterial vascular calcification|aortosclerosis"
    ),
    "osseous_abnormality": (
        "degenerative change/disease/spondylosis/spurring/arthritis?|degenerative disc disease/change?|spondylosis|"
        "spondylitic|spondylotic|osteophyte|osteophytosis|osteophytic|spurring|scoliosis|dextroscoliosis|"
        "levoscoliosis|kyphosis|kyphotic|kyphoscoliosis|scoliotic|dextrocurvature|levocurvature|dextrocurve|"
        "spinal curvature|curvature of spine|osteopenia|osteopenic|osteoporosis|osteoporotic|demineralization|"
        "demineralized|bone demineralization|lytic/sclerotic/blastic/osseous/bone/bony lesion|lytic|sclerotic focus|"
        "arthritis|osteoarthritis|arthritic|arthropathy|arthrosis|osteoarthritic|djd|dish|"
        "diffuse idiopathic skeletal hyperostosis|disc space? narrowing|disc space? loss|bone island|pectus|"
        "anterior? wedging|wedge/wedged shaped? deformity|wedge shaped vertebra|exostosis|vertebral? height loss|"
        "loss of vertebral body? height|loss of height|"
        "bony/osseous/bone/skeletal abnormality/finding/pathology/change/destruction/process/disease/injury/defect|"
        "cervical rib|schmorl node|endplate irregularity/change/sclerosis|osseous/bony metastasis|"
        "bony/osseous/bone metastatic disease|vertebral/vertebra collapse|collapsed vertebra|spur|"
        "abnormality of bone|avascular necrosis|bony/osseous remodeling|bridging/flowing osteophyte|dislocation|"
        "syndesmophyte|osteodystrophy|enthesophyte|dextro/levo curvature|ankylosing spondylitis|"
        "old healed fracture deformity|bony or soft tissue abnormality|rib crowding"
    ),
    "fracture": (
        "fracture|fractured|compression deformity|compressed vertebra|vertebral compression|"
        "compression fracture|compression deformity of|wedge fracture|vertebral/vertebra deformity|"
        "vertebral body? compression deformity"
    ),
    "rib_fracture": "rib fracture|fractured rib|flail chest/segment",
    "bronchial_wall_thickening": (
        "bronchial wall? thickening/cuffing|peribronchial wall? thickening/cuffing/prominence/opacity|"
        "bronchial/airway wall thickening|airway thickening|thickened bronchial wall|bronchitis|bronchitic change|"
        "thickening of bronchial wall|bronchovascular cuffing|perihilar peribronchial thickening"
    ),
    "hernia": (
        "hiatal/hiatus/paraesophageal/paraoesophageal/morgagni/bochdalek/diaphragmatic hernia|hernia|"
        "intrathoracic stomach|hiatal hernia"
    ),
    "subcutaneous_emphysema": (
        "subcutaneous/soft-tissue/surgical emphysema/air/gas|subcutaneous and mediastinal emphysema|"
        "subq/subcu/sq/sc emphysema/air/gas|soft tissue emphysema/air/gas|chest wall emphysema/air/gas|crepitus|"
        "air/gas in soft/subcutaneous tissue|emphysema of/in soft tissue|emphysema in/of chest wall|"
        "emphysema of/in left/right chest wall|air/gas in left/right? chest wall|"
        "subcutaneous soft? tissue? emphysema/air"
    ),
    "lung_opacity": (
        "opacity|asd|opacification|opacified|airspace/alveolar/parenchymal disease/process/filling|"
        "air space disease/process/opacity/change|density|haziness|ground glass|groundglass|ggo|hazy opacity/density|"
        "shadowing|lung lesion? opacity|whiteout|white out|parenchymal abnormality|airspace/alveolar change|"
        "opacifying|increased/hazy density"
    ),
    "infiltrate": "infiltrate|infiltration|infiltrative change/process/disease?",
    "consolidation": (
        "consolidation|consolidated|consolidative opacity/change/process/disease?|air bronchogram|consolidating"
    ),
    "pneumonia": (
        "pneumonia|bronchopneumonia|pneumonic process/infiltrate/consolidation|pneumonitis|"
        "infectious process/infiltrate/etiology/consolidation|infection|aspiration pneumonia/pneumonitis|"
        "pulmonary/lung infection"
    ),
    "vascular_congestion": (
        "vascular/pulmonary/venous/central/hilar/pulmonary-vascular congestion|congestion|congestive change|"
        "pulmonary? vascular congestive? prominence|increased/prominent pulmonary? vascularity/vasculature|"
        "pulmonary? venous congestion"
    ),
    "pulmonary_venous_hypertension": (
        "pulmonary? vascular/venous engorgement|engorgement|cephalization|pulmonary? venous hypertension|"
        "pulmonary? vascular redistribution|pulmonary? vascular/venous? plethora|cephalad redistribution|"
        "pulmonary? vascular/venous distention|upper? lobe? blood/venous/vascular/flow diversion|upper lobe diversion"
    ),
    "cardiomegaly": (
        "cardiomegaly|enlarged cardiomegaly|cardiac/heart enlargement|ventricular/atrial/chamber enlargement|lvh|"
        "increased heart/cardiac size|megalocardia|cardiomegalic|"
        "left/right ventricular/atrial enlargement/prominence|enlarged left/right? atrium/ventricle|"
        "increased cardiothoracic ratio"
    ),
    "diaphragm_elevation": "eventration|diaphragmatic? eventration",
    "pulmonary_edema": (
        "edema|pulmonary edema|alveolar/interstitial/airspace/perihilar edema|"
        "interstitial and/or alveolar edema|kerley|kerley b? line|fluid/volume overload|overhydration|overloaded"
    ),
    "heart_failure": (
        "heart failure|chf|congestive heart? failure|cardiac failure/decompensation|failure|lvf|"
        "left ventricular failure"
    ),
    "enlarged_cardiomediastinum": (
        "mediastinal widening|widened mediastinum|widening of mediastinum|wide mediastinum|mediastinal enlargement|"
        "enlarged cardiomediastinum|mediastinal hematoma|widened superior? mediastinum|superior mediastinal widening"
    ),
    "mediastinal_shift": (
        "mediastinal/tracheal/cardiac/cardiomediastinal shift/deviation|shift of mediastinum/trachea/heart|"
        "deviation of trachea/mediastinum|midline shift|trachea deviated"
    ),
    "nodule": (
        "nodule|nodular lesion/focus|nodularity|noncalcified/uncalcified nodule|non calcified nodule|coin lesion|"
        "pulmonary nodular|micronodule|pulmonary/lung nodule"
    ),
    # an opacity for certain, perhaps a nodule
    "lung_opacity+nodule?": (
        "nodular appearing? opacity|nodular density/infiltrate/consolidation/shadow|rounded/round opacity/density"
    ),
    "mass": (
        "mass|masslike|mass like|masslike opacity/density/consolidation|mass like opacity/density/consolidation|"
        "neoplasm|malignancy|tumor|cancer|lung cancer/carcinoma|carcinoma|neoplastic process/disease?|mass lesion|"
        "malignant process"
    ),
    "cavity": "cavity|cavitation|cavitary lesion/nodule/mass/opacity?|cavitating|cavitated",
    "pleural_thickening": (
        "pleural/apical/biapical/pleuroparenchymal thickening|apical cap|biapical cap|thickening of pleura|"
        "thickened pleura|pleural plaque/calcification|apical/biapical capping|calcified/noncalcified pleural plaque|"
        "apical pleural thickening/cap|fibrothorax|thickening of/in minor/major? fissure|fissural thickening|"
        "pleural and parenchymal thickening|pleural reaction"
    ),
    "scarring": (
        "scar|scarring|pleural scar/scarring|pleural parenchymal scar/scarring|apical scar/scarring|cicatrix|"
        "cicatricial change|linear fibrosis|fibrous scar|scarlike|pleuroparenchymal/parenchymal scar/scarring|"
        "fibroscarring|fibrotic scar|fibronodular scarring"
    ),
    "pleural_thickening+scarring": (
        "pleural/pleuroparenchymal thickening and/or/slash scarring|apical pleural parenchymal? scarring"
    ),
    "low_lung_volume": (
        "low/reduced/decreased/diminished/small/shallow/poor lung? volume|"
        "lung? volume low/reduced/decreased/diminished|hypoinflation|hypoinflated|hypoventilatory change?|"
        "hypoventilation|hypoaeration|hypoaerated|underinflation|underinflated|hypoexpansion|hypoexpanded|"
        "poor/shallow/suboptimal/low/decreased/diminished/incomplete inspiration|"
        "poor/shallow/suboptimal/decreased/diminished/incomplete inspiratory? effort|under inflated|"
        "poorly inflated/expanded/aerated"
    ),
    "tortuous_aorta": (
        "tortuous aorta|aortic tortuosity|tortuosity|tortuous|ectatic|ectasia|unfolding|uncoiled|uncoiling|unfolded|"
        "elongated aorta"
    ),
    "valve_prosthesis": (
        "prosthetic/artificial/mechanical/bioprosthetic/replaced cardiac/heart/aortic/mitral/tricuspid? valve|"
        "valve prosthesis/replacement|aortic/mitral/tricuspid valve? prosthesis/replacement|tavr|tavi|"
        "prosthetic valve|valvular prosthesis"
    ),
    "emphysema": (
        "emphysema|emphysematous change/disease/lung/bulla?|bullous disease/change/emphysema|centrilobular emphysema"
    ),
    "copd": (
        "copd|copd change|chronic? obstructive pulmonary/lung/airway/airflow? disease/change/pattern|"
        "obstructive airway disease"
    ),
    "bronchiectasis": "bronchiectasis|bronchiectatic change?|traction bronchiectasis",
    "granulomatous_disease": (
        "granulomatous disease/change/process/infection/calcification/exposure?|granuloma|"
        "calcified granuloma/granulomata|granulomata|calcified lymph? node|"
        "calcified hilar/mediastinal/perihilar/paratracheal/subcarinal lymph? node|"
        "calcified hilar/mediastinal lymphadenopathy/adenopathy|histoplasmosis|calcified lymphadenopathy|"
        "hilar/mediastinal/nodal calcification|calcified granulomatous disease|"
        "old/prior/remote/healed granulomatous disease/infection|calcified parenchymal granuloma|"
        "calcified nodular density|granulomatous calcification"
    ),
    "nodule+granulomatous_disease": "calcified lung/pulmonary? nodule",
    "pneumomediastinum": "pneumomediastinum|mediastinal air/emphysema/gas",
    "pneumoperitoneum": (
        "pneumoperitoneum|free air|"
        "free intraperitoneal/subdiaphragmatic/intra-abdominal/abdominal/peritoneal air/gas|"
        "intraperitoneal free? air|free air under/beneath/below diaphragm/hemidiaphragm|free subdiaphragmatic air|"
        "subdiaphragmatic free? air|free air in abdomen|air under diaphragm"
    ),
    "pericardial_effusion": "pericardial effusion/fluid|hemopericardium",
    "aortic_aneurysm": (
        "aortic/thoracic/aneurysm aneurysm|aneurysm|aneurysmal|thoracic aortic aneurysm|aneurysmal dilatation/dilation"
    ),
}

# Named so that their words are not taken for a finding; they also take the side that stands before them.
ASIDE = (
    "pulmonary artery/arterial catheter|pa catheter|pulmonary arterial? hypertension|pulmonary artery/arterial line|"
    "joint/knee/shoulder/hip effusion|soft tissue/peripheral/leg/chest-wall/extremity/laryngeal/cerebral edema|"
    "chest wall edema|soft tissue swelling/density/mass|"
    "valve/valvular/mitral/annular/annulus/costochondral/cartilage/tracheal/tracheobronchial/tracheobronchial-tree/"
    "bronchial/splenic/renal/breast/liver calcification|"
    "mitral annular/annulus/valve calcification|calcified mitral annulus|costal cartilage calcification|"
    "breast mass/cancer/carcinoma/density|breast shadow|nipple shadow|skin fold|skinfold|hardware|clip|suture|wire|"
    "sternotomy|median sternotomy|pacemaker|pacer|icd|aicd|defibrillator|lead|generator|picc|picc line|catheter|"
    "central line|central venous? line/catheter|ij|ijv|cvc|line|port|porta|portacath|mediport|tube|"
    "et/endotracheal/ng/og/nasogastric/enteric/feeding/chest/thoracostomy/tracheostomy/orogastric/dobbhoff/"
    "gastrostomy tube|"
    "ett|ngt|ogt|chest tube|pigtail|drain|pleurx|stent|balloon pump|iabp|electrode|device|valve|swan|swan ganz|"
    "permcath|dialysis catheter|tracheostomy|trach|thoracentesis|thoracotomy|lobectomy|pneumonectomy|cabg|"
    "coronary artery? bypass? graft|inguinal/abdominal/ventral/umbilical/disc/incisional hernia|hernia mesh/repair|"
    "renal/liver/kidney/respiratory/hepatic/hardware failure|failure to|asd closure/occluder/device|high resolution|"
    "mastectomy|cholecystectomy|heart/cardiac disease|heart/lung transplant|mass effect|bone density|"
    "breast|mammary|other/additional/further/remaining abnormality/finding|density of bone|air fluid level|"
    "airway disease|small airway disease|reactive airway disease|cardiac valve|vascular disease|artifact|"
    "pulmonary embolism/embolus|coronary artery disease|bowel gas|gastric bubble|air bubble|"
    "oxygen|bullet|shrapnel|metallic/sclerotic/bony/calcific/calcified/radiopaque/low/fat density|cystic fibrosis|"
    "foreign body|ards|bulla|bleb|bullet fragment|finding of|"
    "cardiac apex|eventration repair|subclavian|jugular|vascular pedicle|great vessel"
)

# Nouns that say nothing but "abnormal": denied, they are normal anatomy ("no acute cardiopulmonary process").
ABNORMALITY = (
    "abnormality|disease|process|pathology|finding|acute change|"
    "cardiopulmonary/cardiac/chest/intrathoracic/cardiothoracic/pulmonary/lung/pleural/mediastinal/thoracic disease/"
    "abnormality/process/finding/pathology/change|"
    "active/acute cardiopulmonary/pulmonary/lung/cardiac/chest/intrathoracic? disease/process/abnormality|"
    "cardiopulmonary|acute illness|acute cardiopulmonary|active infiltrate? or? disease|"
    "acute cardiac or/and pulmonary process/disease/abnormality/finding|"
    "cardiac or pulmonary abnormality/disease/process|"
    "acute/active cardiac/heart/pulmonary/lung/cardiopulmonary/pleural/chest/intrathoracic/thoracic disease/process/"
    "abnormality/finding/change|"
    "acute heart and lung disease|heart or/and lung disease"
)
