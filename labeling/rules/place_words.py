"""Places in and around the chest where a tip may be said to lie: phrase -> place.

A place is anatomy, the same for every device; what it means for one type is in `labeling.rules.tips`. Patterns are those
of `labeling.rules.lexer`, on folded words without articles and "of".
"""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rules.lexer import expand

_UPPER = "upper/proximal/high/superior"
_MID = "mid/middle/midportion/central"
_LOWER = "lower/distal/low/inferior/lowermost"
_PART = "portion/part/third/aspect/segment/half/extent/region"

_PLACES: dict[str, str] = {
    # great veins and heart
    "caj": "superior? cavoatrial/atriocaval/cavalatrial/cavoauricular junction|superior? caval atrial junction|cavoatrial"
    "|superior? cavo atrial junction|superior? atrio caval junction|atrial caval junction|caj|svc slash? ra junction"
    "|svc slash? right atrial junction|svc slash? atrial junction|svc slash? right atrium junction|junction svc and/with right atrium"
    "|junction svc and/with ra|svc right atrium|svc atrium junction|junction superior vena cava and/with right atrium"
    "|superior vena cava slash? right atrial junction|superior vena cava slash? atrial junction|cavo atrium junction"
    "|superior vena cava slash? right atrium junction|junction svc slash ra|right atrial slash? svc junction|right atrial slash? superior vena cava junction|ra slash? svc junction"
    "|right atrial superior vena cava junction|right atrium slash? svc junction|svc to right atrial junction|cavoatrial region"
    "|junction svc slash right atrium|atrial junction|cavoatrial junctional region|svc slash ra|svc slash? atrial region"
    "|superior caval atrial junction|right atrial caval junction|junction right atrium and svc|svc and right atrium junction"
    "|junction superior vena cava and atrium|junction svc and atrium|svc slash cavoatrial junction|distal svc slash cavoatrial"
    " junction|lower svc slash cavoatrial junction|distal svc or cavoatrial junction|junction between svc and right atrium"
    "|right atrial junction|junction between superior vena cava and right atrium|lower svc or cavoatrial junction"
    "|distal svc slash superior cavoatrial junction|low svc slash cavoatrial junction|svc right atrial region",
    "high_ra": "upper/high/proximal/superior right atrium/atrial|superior/upper aspect/portion/part/third right atrium"
    "|upper/high ra|upper to mid right atrium|proximal ra|top right atrium|right atrium slash cavoatrial junction"
    "|high right atrial region|right atrial inlet|upper/superior/proximal portion right atrium|just below cavoatrial junction"
    "|just beyond/past cavoatrial junction|just within/into/inside right atrium|just inferior cavoatrial junction",
    "ra": "right atrium|right atrial|right atrial appendage|ra|right heart|mid/middle/lower/low/deep/inferior right"
    " atrium|mid/low/lower ra|atrium|mid portion right atrium|lower portion right atrium|body right atrium|right cardiac atrium"
    "|right atrial cavity|distal right atrium|floor right atrium|right atrial chamber|mid to lower right atrium|inferior aspect"
    " right atrium|lower aspect right atrium|right auricle|right heart border",
    "rv": "right ventricle|right ventricular|rv|right ventricular cavity/apex|rv apex|tricuspid valve|across tricuspid valve"
    "|apex right ventricle|ventricle",
    "ivc": "inferior vena cava|ivc|inferior cavoatrial junction|intrahepatic ivc|hepatic vein|suprahepatic ivc|inferior caval vein"
    "|ivc slash? right atrial junction|ra slash? ivc junction|inferior caval atrial junction|right atrial ivc junction"
    "|right hepatic vein|iliac vein|junction right atrium and ivc|intrahepatic inferior vena cava",
    "brachio": "brachiocephalic|brachiocephalic vein|innominate|innominate vein|brachiocephalic trunk|bcv|brachio cephalic vein"
    "|brachiocephalic confluence|proximal/mid/distal/upper/lower brachiocephalic vein?|proximal/mid/distal innominate vein?"
    "|venous confluence|subclavian brachiocephalic junction|subclavian brachiocephalic vein junction|innominate confluence"
    "|brachiocephalic venous confluence|brachiocephalic veins|confluence brachiocephalic veins|brachiocephalic vein confluence"
    "|innominate veins|subclavian slash brachiocephalic vein|jugular subclavian confluence|brachiocephalic slash subclavian vein"
    "|thoracic inlet vein|subclavian slash innominate vein|subclavian jugular junction|confluence innominate veins"
    "|jugulosubclavian junction|jugular subclavian junction|junction subclavian and internal? jugular vein?",
    "upper_svc": "svc brachiocephalic confluence/junction|brachiocephalic svc confluence/junction|svc origin|origin svc"
    "|brachiocephalic slash svc confluence/junction|brachiocephalic vein slash svc confluence/junction|top svc"
    "|brachiocephalic vein svc junction|junction brachiocephalic vein? and svc|junction innominate vein? and svc"
    "|innominate svc junction|innominate vein svc junction|brachiocephalic caval junction|origin superior vena cava"
    "|junction brachiocephalic vein? and superior vena cava|confluence svc|svc innominate junction|brachiocephalic venous svc"
    " junction|beginning svc|brachiocephalic slash superior vena cava junction|junction brachiocephalic vein? with svc"
    "|junction brachiocephalic vein? with superior vena cava|brachiocephalic superior vena cava junction|innominate caval junction"
    "|confluence brachiocephalic vein and svc|svc slash brachiocephalic junction|junction innominate vein? with svc"
    "|junction right/left brachiocephalic vein? and/with svc|junction right/left innominate vein? and/with svc",
    "axillary": "axillary vein|axillary|axilla|axillary region|axillary subclavian|axillary slash subclavian vein|axillosubclavian"
    "|axillary subclavian junction|subclavian slash axillary vein|axillary venous",
    "azygos": "azygos|azygous|azygos vein/arch|azygous vein/arch|azygo vein|azygos system",
    "arm": "basilic vein?|brachial vein?|cephalic vein?|upper arm|proximal/mid/distal humerus|antecubital fossa?|elbow"
    "|humerus|humeral head|upper extremity vein|mid upper arm|proximal arm|shoulder",
    "artery": "carotid|carotid artery|common carotid artery?|arterial|subclavian artery|artery|intraarterial|intra arterial"
    "|arterial tree|arterial system|brachiocephalic artery|innominate artery|arterial location/position",
    "extravascular": "extravascular|extra vascular|extravasated|outside vessel|outside vein|extraluminal|outside vascular"
    "|outside vasculature|outside venous system|extravenous|perforated",
    "neck": "jugular vein cephalad|cervical region|soft tissues neck|lower neck|upper neck|base neck",
    # pulmonary arteries
    "pa": "pulmonary artery|pa|pulmonary arterial system|pulmonary arterial|right or left pulmonary artery",
    "main_pa": "main pulmonary artery|pulmonary trunk|main pa|main pulmonary artery segment|pulmonary artery trunk|main pulmonary"
    " trunk|proximal pulmonary artery|central pulmonary artery|mpa|proximal main pulmonary artery|distal main pulmonary artery"
    "|pulmonary artery bifurcation|bifurcation pulmonary artery|main pulmonary outflow",
    "rpa": "right main? pulmonary artery|rpa|right main? pa|proximal/mid/central right main? pulmonary artery|right main pulmonary"
    "|proximal rpa|proximal right pa|right pulmonary arterial|right central pulmonary artery|right pulmonary artery hilum",
    "lpa": "left main? pulmonary artery|lpa|left main? pa|proximal/mid/central left main? pulmonary artery|left main pulmonary"
    "|proximal lpa|proximal left pa|left pulmonary arterial|left central pulmonary artery",
    "interlobar": "right/left? interlobar artery|right/left? interlobar pulmonary artery|right/left? descending pulmonary artery"
    "|proximal right/left? interlobar pulmonary? artery|right/left? descending interlobar? pulmonary artery|interlobar pa"
    "|descending branch right/left pulmonary artery|interlobar branch right/left pulmonary artery|right/left interlobar",
    "distal_pa": "distal right/left? main? pulmonary artery|peripheral pulmonary artery|segmental pulmonary? artery|subsegmental"
    " pulmonary? artery|lobar pulmonary? artery|right/left? lower/upper/middle lobe pulmonary? artery|pulmonary artery"
    " branch|segmental branch|distal pulmonary arterial|peripheral branch|right/left lower/upper lobe pulmonary arterial branch"
    "|lower lobe branch|lobar branch|distal branch|right/left? lower/upper/middle lobe artery|right/left lower/upper lobe branch"
    "|peripheral pulmonary arterial|subsegmental branch|peripheral right/left pulmonary artery|segmental pulmonary arterial"
    "|peripherally|distal right/left pa|distal pulmonary vasculature|peripheral lung|branch right/left pulmonary artery"
    "|right/left lower/upper/middle lobe segmental artery|segmental branch right/left pulmonary artery|wedge position|wedged"
    "|distal interlobar artery|distal right/left interlobar pulmonary? artery|right/left lower lobe pulmonary arterial|distal branch|peripheral"
    " right/left pulmonary artery",
    "rvot": "right ventricular outflow tract|rvot|pulmonary outflow tract|pulmonic valve|pulmonary valve|right ventricular outflow"
    "|rv outflow tract?|outflow tract|pulmonary outflow|ventricular outflow tract|right outflow tract|pulmonary conus",
    # airway
    "carina": "carina|tracheal bifurcation|main? carina|tracheal carina|bifurcation trachea|carinal level|carinal bifurcation",
    "trachea": "trachea|intratracheal|tracheal air column|tracheal lumen|airway column|tracheal airway|tracheal shadow",
    "upper_trachea": "upper/proximal/high/cervical/superior trachea|upper/proximal thoracic? trachea|upper third thoracic? trachea"
    "|proximal third trachea|upper intrathoracic trachea|upper portion/aspect trachea|proximal tracheal|extrathoracic trachea"
    "|below vocal cord|just below vocal cord|subglottic trachea?|subglottis|below cord|upper to mid trachea|upper cervical trachea"
    "|upper/proximal half trachea",
    "mid_trachea": "mid trachea|mid thoracic/intrathoracic trachea|middle trachea|middle third thoracic? trachea|midtrachea|mid"
    " tracheal|mid third trachea|mid portion trachea|mid to upper trachea|mid to proximal trachea|midthoracic trachea|thoracic"
    " trachea|intrathoracic trachea|middle portion trachea|mid tracheal level|mid aspect trachea|mid intrathoracic tracheal"
    "|between clavicle and carina|midway between clavicle and carina|midway between thoracic inlet and carina|between thoracic"
    " inlet and carina|mid to distal trachea|mid to lower trachea|midway between clavicular head and carina|midway between"
    " clavicular heads and carina|between clavicular head and carina|midway between carina and thoracic inlet|midway between"
    " carina and clavicle|halfway between thoracic inlet and carina|halfway between clavicle and carina",
    "lower_trachea": "lower/distal/low/inferior trachea|lower/distal thoracic? trachea|lower third thoracic? trachea|distal tracheal"
    "|distal third trachea|lower intrathoracic trachea|distal/lower intrathoracic trachea|lower portion/aspect trachea|distal/lower"
    " half trachea|supracarinal trachea|lower trachea near carina",
    "inlet": "thoracic inlet|thoracic inlets|cervicothoracic junction|sternal notch|suprasternal notch|level thoracic inlet",
    "clavicles": "clavicle|clavicular head|medial clavicle|clavicular|medial end clavicle|sternoclavicular joint|clavicular level"
    "|level clavicle|medial clavicular head|head clavicle|inferior/superior margin clavicle|medial head clavicle|inferior"
    " clavicular margin|interclavicular region/level/notch|clavicles|clavicular heads|lower margin clavicle|undersurface clavicle"
    "|heads clavicles|sternal end clavicle|superior/inferior border clavicle|tops clavicle|top clavicle|clavicular margin",
    "rmb": "right main? bronchus|right mainstem|right mainstem bronchus|right main stem bronchus?|right main bronchial|rmb"
    "|bronchus intermedius|intermediate bronchus|right mainstem bronchial|right main bronchi|proximal/distal right mainstem bronchus?"
    "|proximal/distal right main bronchus|right mainstem intubation|right main stem intubation|right bronchial|rmsb"
    "|right main bronchus intubation|origin right mainstem bronchus?|origin right main bronchus|right mainstem orifice"
    "|right main bronchus orifice|right lower lobe bronchus|right endobronchial|right upper lobe bronchus|proximal right main stem"
    " bronchus?|right mainstream bronchus|right bronchus intermedius|right primary bronchus|orifice right mainstem bronchus?",
    "lmb": "left main? bronchus|left mainstem|left mainstem bronchus|left main stem bronchus?|left main bronchial|lmb"
    "|proximal/distal left mainstem bronchus?|proximal/distal left main bronchus|left mainstem intubation|left bronchial|lmsb"
    "|origin left mainstem bronchus?|left mainstem orifice|left lower lobe bronchus|left endobronchial|origin left main bronchus"
    "|proximal left main stem bronchus?|left mainstream bronchus|left primary bronchus|orifice left mainstem bronchus?",
    "bronchus": "bronchus|main bronchus|mainstem|mainstem bronchus|main stem bronchus|airway|tracheobronchial tree|bronchial tree"
    "|lower lobe bronchus|bronchial|bronchi|right/left main bronchi|mainstem bronchi|both main bronchi|segmental bronchus",
    "esophagus": "esophagus|esophageal|upper/mid/middle/lower/distal/proximal/thoracic/cervical/low esophagus|intraesophageal"
    "|mid to lower/distal esophagus|upper/mid/lower/distal/middle thoracic esophagus|upper/mid/lower/distal third esophagus"
    "|mid/lower slash lower/distal esophagus|proximal/mid/distal portion esophagus|mid slash distal esophagus|mid and distal"
    " esophagus|esophageal lumen|distal esophageal|mid esophageal|lower third thoracic esophagus|upper to mid esophagus"
    "|esophageal intubation|intrathoracic esophagus",
    "pharynx": "pharynx|hypopharynx|oropharynx|nasopharynx|larynx|vocal cord|vocal cords|glottis|at cord|pharyngeal|laryngeal"
    "|mouth|oral cavity|throat|supraglottic|supraglottis|epiglottis|pyriform sinus|cricoid|cricopharyngeus|above vocal cord"
    "|laryngeal inlet|posterior pharynx|above cord|piriform sinus",
    "soft_tissue": "soft tissue|pretracheal soft? tissue|paratracheal soft? tissue|cervical soft tissue|false passage|false tract"
    "|soft tissue neck|pretracheal|subcutaneous tissue|subcutaneous soft tissue|outside trachea|outside tracheal lumen"
    "|extratracheal|false track|neck soft tissue|pretracheal space|anterior to trachea|outside airway|outside tracheal airway",
    # stomach and below
    "stomach": "stomach|gastric|gastric fundus/body/antrum/lumen/bubble/cardia|fundus|fundus stomach|body stomach|antrum"
    "|antrum stomach|proximal/mid/distal/upper stomach|proximal/mid/distal gastric body|stomach bubble|intragastric|gastric air"
    " bubble|fundic region|gastric outline|cardia stomach|gastric pouch|proximal/distal portion stomach|region stomach|gastric"
    " shadow|antral region|prepyloric region?|gastric antral region|pylorus|pyloric region|pyloric channel|gastric remnant"
    "|gastric pylorus|gastric cavity|greater curvature stomach?|lesser curvature|gastric conduit|cardia|gastric fundal region"
    "|antropyloric region|stomach body|stomach fundus|stomach antrum|gastric body slash fundus|mid gastric body|gastroduodenal"
    " region|proximal antrum|distal antrum|distal gastric antrum|gastric silhouette|stomach lumen|gastric pull through|pre pyloric",
    "duodenum": "duodenum|duodenal|duodenal bulb/sweep|first/second/third/fourth portion/part duodenum|proximal/mid/distal duodenum"
    "|descending duodenum|horizontal duodenum|transverse duodenum|ascending duodenum|2nd/3rd/4th/1st portion/part duodenum"
    "|duodenojejunal junction/flexure|ligament treitz|c loop|d1|d2|d3|d4|duodenal jejunal junction|duodeno jejunal junction"
    "|gastroduodenal junction|duodenal c loop|second/third duodenal segment|duodenal loop|duodenal cap",
    "jejunum": "jejunum|jejunal|proximal/mid/distal jejunum|proximal jejunal loop|jejunal loop|beyond/past ligament treitz"
    "|past duodenojejunal flexure/junction",
    "post_pyloric": "post pyloric|postpyloric|past/beyond pylorus|post pyloric position/location/region|postpyloric"
    " position/location|transpyloric|small bowel|proximal small bowel|post pylorus|distal to pylorus|through pylorus|small intestine",
    "gej": "gastroesophageal junction|gastro esophageal junction|gej|ge junction|eg junction|egj|esophagogastric junction"
    "|esophago gastric junction|g e junction|gastroesophageal region|gastroesophageal|oesophagogastric junction|gastric inlet"
    "|gastroesophageal jxn|ge jxn|goj|gastric esophageal junction|go junction|esophageal hiatus|diaphragmatic hiatus|hiatus"
    "|cardioesophageal junction|ge hiatus|oj junction|esophageal gastric junction|gastroesophageal hiatus|og junction",
    "hernia": "hiatal/hiatus/paraesophageal hernia|hernia sac|intrathoracic stomach|hiatal hernia sac|herniated stomach"
    "|intrathoracic gastric|moderate/large/small hiatal/hiatus hernia",
    "luq": "left upper quadrant|luq|left upper abdomen|left upper quadrant abdomen|left upper abdominal quadrant|left abdomen"
    "|left upper abdominal|left side abdomen|left subphrenic region",
    "abdomen": "abdomen|upper abdomen|abdominal|midabdomen|mid abdomen|upper midabdomen|epigastrium|epigastric region|abdominal"
    " cavity|infradiaphragmatic|infradiaphragmatic position/location|subdiaphragmatic|subdiaphragmatic position/location|peritoneum"
    "|subphrenic|intraabdominal|intra abdominal|peritoneal cavity|subphrenic space|infra diaphragmatic|sub diaphragmatic"
    "|upper abdominal cavity|midline upper abdomen|below diaphragm|below hemidiaphragm|below left/right hemidiaphragm"
    "|beneath/under/underneath left/right? diaphragm/hemidiaphragm|inferior to left/right? diaphragm/hemidiaphragm"
    "|below level left/right? diaphragm/hemidiaphragm|below diaphragms|below diaphragmatic|beneath diaphragmatic"
    "|past/beyond/cross/traverse/through left/right? diaphragm/hemidiaphragm|crossing/traversing left/right?"
    " diaphragm/hemidiaphragm|below left/right diaphragm|below diaphragmatic contour/margin|subdiaphragmatically|infradiaphragmatically"
    "|subdiaphragmatic region|under left/right? hemidiaphragm|below left/right? dome diaphragm|below left/right? diaphragmatic leaf",
    "ruq": "right upper quadrant|ruq|right upper abdomen|liver|hepatic|gallbladder|biliary|perihepatic|right abdomen|hepatic dome"
    "|gallbladder fossa|porta hepatis|right upper quadrant abdomen|right lower quadrant|left lower quadrant|pelvis|kidney"
    "|perihepatic region|subhepatic region|pancreas|lesser sac|spleen|splenic|flank|pancreatic bed",
    "diaphragm": "diaphragm|hemidiaphragm|dome diaphragm|diaphragmatic|left/right hemidiaphragm|diaphragms|left/right diaphragm",
    # aorta
    "arch": "aortic arch|aortic knob|aortic knuckle|arch aorta|aortic notch|transverse aorta|top aortic arch|superior margin/aspect"
    " aortic arch/knob|apex aortic arch/knob|top aortic knob|transverse arch|superior aortic arch|aortic arch apex|arch|knob"
    "|mid/distal/proximal aortic arch|inferior/undersurface/inferior aspect aortic arch/knob|aortic arch contour|top arch"
    "|superior border aortic arch/knob|superior contour aortic arch/knob|apex arch|level aortic arch/knob|aortic knob shadow",
    "prox_desc_aorta": "proximal descending thoracic? aorta|upper descending thoracic? aorta|high descending thoracic? aorta"
    "|just below aortic arch/knob|just below arch|just distal to aortic arch/knob|just inferior to aortic arch/knob"
    "|immediately below aortic arch/knob|just beyond aortic arch/knob|proximal thoracic aorta|proximal descending aortic"
    "|just below level aortic arch/knob|just distal to left subclavian artery|just distal to origin left subclavian artery"
    "|just below origin left subclavian artery|just below left subclavian artery|slightly below aortic arch/knob|just below top"
    " aortic arch/knob|just distal to left subclavian artery origin|just distal to left subclavian|aortic isthmus"
    "|immediately distal to left subclavian artery|superior descending thoracic? aorta|upper thoracic descending? aorta"
    "|just below apex aortic arch/knob|just below left subclavian artery origin|just below left subclavian origin"
    "|immediately distal to origin left subclavian artery|just distal to left subclavian origin|upper third descending thoracic?"
    " aorta|proximal portion descending thoracic? aorta|just inferior to arch|just under aortic arch/knob",
    "desc_aorta": "descending thoracic? aorta|thoracic aorta|descending aortic shadow|thoracic descending aorta|descending thoracic"
    "|thoracic aortic",
    "mid_desc_aorta": "mid descending thoracic? aorta|mid thoracic descending? aorta|lower descending thoracic? aorta|distal descending"
    " thoracic? aorta|lower thoracic descending? aorta|distal thoracic aorta|mid to lower/distal descending thoracic? aorta|low"
    " descending thoracic? aorta|middle descending thoracic? aorta|inferior descending thoracic? aorta|middle third descending"
    " thoracic? aorta|mid portion descending thoracic? aorta|lower third descending thoracic? aorta|low thoracic aorta|middle"
    " third thoracic aorta|mid to lower thoracic aorta|distal portion descending thoracic? aorta",
    "asc_aorta": "ascending thoracic? aorta|aortic root|ascending aortic|proximal ascending aorta|aortic valve",
    "abd_aorta": "abdominal aorta|upper/proximal abdominal aorta|infradiaphragmatic aorta|suprarenal aorta|renal artery|aortic"
    " bifurcation|juxtarenal aorta|infrarenal aorta",
    "aorta": "aorta|aortic|aortic shadow|aortic contour|aortic silhouette|esophagus or aorta",
    "ap_window": "aortopulmonary window|ap window|aorticopulmonary window|aorto pulmonary window|aortico pulmonary window"
    "|level aortopulmonary window|aortopulmonic window|pulmonary aortic window|a p window",
    "subclav_a": "left subclavian artery|left subclavian artery origin|origin left subclavian artery|left subclavian artery"
    " ostium|takeoff left subclavian artery|left subclavian takeoff|left subclavian artery takeoff|ostium left subclavian artery"
    "|origin left subclavian|left subclavian origin|right subclavian artery|subclavian artery takeoff|subclavian artery origin",
    # mediastinum and heart
    "mediastinum": "mediastinum|superior/mid/middle/upper/lower/inferior/midline mediastinum|mediastinal|central chest|upper"
    " mediastinal|right/left superior mediastinum|right/left mediastinum|right/left upper mediastinum|central mediastinum",
    "ant_mediastinum": "anterior mediastinum|retrosternal|retrosternal region/space|substernal|substernal region|behind sternum"
    "|anterior mediastinal|anterior superior mediastinum|anterior inferior mediastinum|posterior to sternum|retrosternal clear space",
    "post_mediastinum": "posterior mediastinum|retrocardiac|retrocardiac region|behind heart|posterior mediastinal|retrocardiac space",
    "mediastinal_border": "mediastinal border/contour/margin|right/left mediastinal border/contour/margin|paramediastinal|paraspinal"
    "|paramediastinal region|paravertebral|paraspinal region|medially against mediastinum|abutting mediastinum|against mediastinum"
    "|right/left? heart border|adjacent to mediastinum|right/left? paramediastinal region|cardiac border|abuts mediastinum|juxtamediastinal"
    "|right/left? cardiac border|right/left? cardiac margin|medial mediastinum",
    "outside_mediastinum": "outside mediastinum|out mediastinum|external to mediastinum|outside mediastinal contour|extramediastinal",
    "pericardium": "pericardium|pericardial|pericardial space/sac|intrapericardial",
    "heart": "heart|cardiac silhouette|cardiac shadow|heart shadow|cardiac|cardiac apex|left ventricle|left atrium|cardiac region"
    "|inferior heart|base heart|cardiac outline|left heart border",
    "hilum": "hilum|hilar region|hilar|hila|hilus|right/left hilum|right/left hilar region|right/left hilar|perihilar region|right/left"
    " perihilar region|hilar shadow|perihilar|right/left perihilar|hilar area|right/left hilar area|central hilum|infrahilar region"
    "|right/left infrahilar region|suprahilar region|right/left suprahilar region",
    "midline": "midline|mid line|midline spine|spinal midline",
    "spine": "spine|vertebral body|vertebral column|thoracic spine|spinous process|vertebra",
    # lung and pleura
    "lung_upper": "apex|lung apex|apical|apical region|biapical|apices|lung apices|apical pleural space|apicolateral|apicomedial"
    "|apical lateral|apical medial|apicoposterior|apical posterior|upper lung|upper lung zone/field|upper zone/hemithorax/thorax"
    "|upper chest|upper lobe|upper pleural space/cavity|superior hemithorax|upper thoracic cavity|apically|superiorly|upper thoracic"
    " region|lung apical region|upper lateral chest|upper lateral hemithorax|cupola|superior thorax|apical hemithorax|upper lobes"
    "|apical aspect|apex hemithorax|apex lung|apical lung|apical chest|superior pleural space|upper medial hemithorax|upper outer"
    " hemithorax|superolateral hemithorax|apical thorax|apical portion|apical zone|second/2nd/third/3rd posterior rib|upper"
    " medial chest|lateral apex|medial apex|superior aspect hemithorax|superior lung|apical location|apical position",
    "lung_mid": "mid lung|mid lung zone/field|mid zone|mid hemithorax|mid thorax|mid chest|middle lung|middle lung zone/field|midlung"
    "|midlung zone/field|mid thoracic region|midthorax|midchest|middle lobe|mid pleural space|mid lateral hemithorax/chest/thorax"
    "|lateral mid hemithorax/thorax/chest|lateral mid lung|mid lateral pleural space|middle zone|mid thoracic cavity|midzone|middle"
    " hemithorax|middle third hemithorax|mid portion hemithorax|right middle lobe|lingula|mid aspect hemithorax|medial mid hemithorax"
    "|lateral aspect mid hemithorax|lateral midlung|mid medial hemithorax|mid axillary|middle thorax|mid lung region|lateral aspect"
    " mid lung|posterior mid hemithorax|middle third lung|mid hemithoracic|medial midlung",
    "lung_lower": "base|lung base|basal|basilar|bases|lung bases|bibasilar|bibasal|basal region|basilar region|lower lung|lower lung"
    " zone/field|lower zone|lower hemithorax|lower thorax|lower chest|lower lobe|lower lobes|costophrenic angle/sulcus/recess"
    "|costophrenic|cp angle|lateral/posterior costophrenic angle/sulcus|posterior sulcus|inferior hemithorax|lower pleural"
    " space/cavity|basilar pleural space|basal pleural space|posterior costophrenic|inferior chest|inferior thorax|inferiorly"
    "|lower thoracic cavity|lateral base|medial base|posterior base|posterior lung base|lower lateral hemithorax|cardiophrenic"
    " angle/sulcus/region|inferolateral hemithorax|inferior pleural space|lateral/medial lung base|lower lateral chest|base lung"
    "|base hemithorax|basilar hemithorax|basally|posterior basal region?|hemithorax base|subpulmonic region/space|lower medial"
    " hemithorax|basilar lung"
    "|lower third hemithorax|lower portion hemithorax|lateral sulcus|inferior lung|basal pleura"
    "|posterior inferior hemithorax|posteroinferior hemithorax|posterior pleural sulcus|sulcus|supradiaphragmatic|infero lateral"
    " hemithorax|inferior medial hemithorax|medial lower hemithorax|lower lateral thorax|lateral lower hemithorax",
    "above_diaphragm": "above left/right? diaphragm/hemidiaphragm|just above left/right? diaphragm/hemidiaphragm|above level"
    " diaphragm|above left/right? dome diaphragm",
    "fissure": "major fissure|minor fissure|fissure|oblique fissure|horizontal fissure|interlobar fissure|fissural|intrafissural",
    "chest_wall": "chest wall|chest wall soft tissue|lateral chest wall|extrathoracic|extra thoracic|chest wall subcutaneous tissue"
    "|subcutaneous|outside chest|outside thorax|outside hemithorax|outside thoracic cavity|outside pleural space/cavity|extrapleural"
    "|extra pleural|outside chest cavity|outside bony thorax|lateral soft tissue|outside chest wall|soft tissue chest wall"
    "|subcutaneous tissue chest wall|soft tissue lateral chest wall|external to chest|external to pleural space|external to thorax"
    "|external to rib|outside rib|outside rib cage|outside thoracic cage|outside bony thoracic cage|outside ribcage|external to rib"
    " cage|lateral to rib|beyond rib cage|external to thoracic cavity|external to chest wall|external to hemithorax"
    "|outside left/right hemithorax|outside left/right chest|outside left/right thorax|outside left/right pleural space/cavity"
    "|outside left/right chest cavity|lateral to rib cage|lateral to thoracic cage|outside lateral rib margin|outside inner rib"
    " margin|outside rib margin|lateral to inner rib margin|outside confine thorax/chest|external to bony thorax|outside left/right"
    " rib cage|outside left/right thoracic cavity|lateral to left/right? chest wall|lateral to bony thorax|pulled out|beyond"
    " pleural space|outside lateral chest wall|lateral to lateral rib|external to left/right hemithorax|out chest|out pleural space"
    "|outside osseous thorax|extra pleural space|beyond chest wall|beyond lateral chest wall|outside patient|out hemithorax|outside"
    " confine bony thorax|outside confine pleural space",
    "pleural_space": "pleural space|pleural cavity|hemithorax|chest|thorax|lung|pleura|thoracic cavity|lateral hemithorax|lateral"
    " chest|lung field|within rib cage|inside rib cage|medial hemithorax|posterior hemithorax|intrapleural|chest cavity|posterior"
    " pleural space|lateral thorax|lateral pleural space|anterior pleural space|inside chest|within chest wall|inside hemithorax"
    "|lungs|hemithoraces|anterior hemithorax|intrathoracic|rib cage|ribcage|rib|inner rib margin|bony thorax|lateral lung|parenchyma"
    "|lung parenchyma|pulmonary parenchyma|intraparenchymal",
}
# Vertebral levels: what they mean depends on the device.
_VERTEBRAE = {
    "vertebra_1": "t1|t1 level|c7|c6|t1 t2|t2|t2 level|t1 vertebra|t2 vertebra|t2 t3|t2 vertebral body|t1 vertebral body",
    "vertebra_3": "t3|t4|t3 t4|t3 level|t4 level|t3 vertebra|t4 vertebra|t4 vertebral body|t3 vertebral body",
    "vertebra_5": "t5|t5 level|t4 t5|t5 vertebra|t5 vertebral body|t5 t6",
    "vertebra_6": "t6|t7|t8|t9|t10|t11|t12|t7 level|t8 level|t6 level|t6 t7|t7 t8",
}


def _levels(organ: str, upper: str, middle: str, lower: str) -> dict[str, str]:
    """Patterns for the thirds of a vessel: "mid SVC", "lower third of the SVC", "mid to distal SVC"."""
    return {
        upper: f"{_UPPER} {organ}|{_UPPER} {_PART} {organ}|uppermost {organ}|{organ} {_UPPER}",
        middle: f"{_MID} {organ}|{_MID} {_PART} {organ}|{_UPPER} to/slash {_MID} {organ}|mid upper {organ}|upper mid {organ}"
        f"|{_UPPER} or {_MID} {organ}",
        lower: f"{_LOWER} {organ}|{_LOWER} {_PART} {organ}|{_MID} to/slash/or/and {_LOWER} {organ}|mid lower/distal {organ}"
        f"|lower mid {organ}|base {organ}|{_LOWER} to {_MID} {organ}|{_MID} {organ} to {_LOWER} {organ}|{organ} {_LOWER}",
    }


_THIRDS = {
    "lung_upper": "upper/superior/high/uppermost/apical",
    "lung_mid": "mid/middle",
    "lung_lower": "lower/inferior/basal/basilar/low/lowermost",
}
_HALVES = "hemithorax/lung/thorax/zone"


def place_phrases() -> Iterator[tuple[str, tuple[str, str | tuple[str, str]]]]:
    """Give (phrase, ("place", place)) for the lexicon."""
    tables: list[dict[str, str]] = [
        {"svc": "svc|superior vena cava|vena cava|superior caval vein|superior vena caval|cava"},
        _levels("svc", "upper_svc", "mid_svc", "lower_svc"),
        _levels("superior vena cava", "upper_svc", "mid_svc", "lower_svc"),
        _PLACES,
        _VERTEBRAE,
    ]
    for table in tables:
        for place, patterns in table.items():
            for pattern in patterns.split("|"):
                for words in expand(pattern):
                    yield " ".join(words), ("place", place)
    for place, thirds in _THIRDS.items():
        for side in ("left", "right"):
            for pattern in (
                f"{thirds} {side} {_HALVES} zone/field?",
                f"{thirds} {side} pleural space/cavity",
                f"{thirds} part/aspect/portion/third {side} {_HALVES}",
            ):
                for words in expand(pattern):
                    yield " ".join(words), ("place", (place, side))
