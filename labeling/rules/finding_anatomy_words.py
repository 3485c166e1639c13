"""What anatomy is called in reports, and what is said of it. Patterns are those of `finding_lexicon`."""

from __future__ import annotations

ANATOMY: dict[str, str] = {
    "heart": (
        "heart|heart size|cardiac size/silhouette/contour/shadow/border?|cardiac silhouette size|size of heart|"
        "heart shadow/contour/silhouette/border|cardiac|cardiopericardial silhouette|"
        "cardiac/heart size and/or contour/shape/configuration|cardiac contour and size|heart and? pericardium|"
        "left/right? ventricle/atrium|transverse cardiac? diameter|cardiac and pericardial silhouette|"
        "cardiovascular silhouette|cardiothoracic ratio|ct ratio|ctr|cardiovascular structure|"
        "cardiothymic silhouette/contour/shadow/border?|cardio thymic silhouette/contour"
    ),
    "cardiomediastinum": (
        "cardiomediastinal silhouette/contour/structure/shadow/size/border?|cardio mediastinal silhouette/contour|"
        "cardiac and mediastinal silhouette/contour/structure/border/size/shadow?|"
        "mediastinal and cardiac silhouette/contour/structure?|cardiac mediastinal silhouette/contour|"
        "heart and mediastinum|cardiac/heart mediastinal hilar? contour/silhouette|cm silhouette/contour|"
        "cardiomediastinum|heart mediastinum"
    ),
    "mediastinum": (
        "mediastinum|mediastinal contour/silhouette/structure/border/shadow/width?|superior mediastinum|mediastinal"
    ),
    "hilum": "hilum|hila|hilar|hilar contour/structure/shadow|hilar and? mediastinal contour",
    "lung": (
        "lung|lung field/zone/parenchyma/apex/base|parenchyma|airspace|lungfield|pulmonary parenchyma|lobe|"
        "hemithorax|hemithoraces"
    ),
    "lung_volume": "lung/pulmonary volume|inspiration|inspiratory effort|aeration|inflation|inspiratory volume",
    "pleura": "pleura|pleural space/surface/margin/cavity|pleural",
    "bone": (
        "bone|bony structure/thorax/element/skeleton/cage/anatomy?|osseous structure/thorax/element/skeleton?|"
        "skeletal structure|skeleton|thoracic cage|rib cage|ribcage|skeletal|bony and soft tissue structure?|"
        "osseous and soft tissue structure|regional skeleton|bone and soft tissue"
    ),
    "spine": (
        "spine|thoracic spine/vertebra|t/c spine|vertebral body/column|vertebra|dorsal spine|endplate|"
        "vertebral endplate|thoracolumbar|lumbar spine|cervical spine|thoracolumbar spine"
    ),
    "single_bone": (
        "clavicle|clavicular head?|shoulder|shoulder joint|glenohumeral joint|sternum|sternal|scapula|scapular|humerus|"
        "humeral surgical? head/neck/shaft?|acromion|vertebral|spinal|"
        "t1/t2/t3/t4/t5/t6/t7/t8/t9/t10/t11/t12/l1/l2/l3/l4/c5/c6/c7 vertebra?"
    ),
    "rib": "rib|rib bone",
    "vessel": (
        "pulmonary? vascular margination/border/margin|pulmonary? vascularity|pulmonary? vasculature|"
        "pulmonary? vascular marking/pattern/structure/flow?|pulmonary vessel|vascular marking|pulmonary venous|"
        "perihilar vasculature|pulmonary flow|vascular|upper/hilar/perihilar lobe? pulmonary? vessel/vein|"
        "pulmonary vein|upper zone vessel/vein"
    ),
    "interstitium": (
        "interstitial marking|interstitium|lung interstitium|interstitial lung? marking|"
        "pulmonary/lung/parenchymal marking|bronchovascular marking|interstitial|lung marking|bronchial marking|"
        "interstitial structure"
    ),
    "diaphragm": (
        "diaphragm|hemidiaphragm|diaphragmatic|diaphragmatic leaflet/contour/surface|hemi diaphragm|"
        "hemidiaphragmatic|diaphragmatic dome"
    ),
    "costophrenic_angle": (
        "costophrenic/cp/cardiophrenic angle/sulcus/recess/gutter?|"
        "posterior/lateral costophrenic/cp angle/sulcus/recess|costo phrenic angle/sulcus|posterior/lateral sulcus|"
        "costophrenic|pleural/lateral sulcus|sulcus|costophrenic angle of lung|cpa"
    ),
    "aorta": (
        "aorta|aortic|aortic arch/knob/knuckle/contour/wall/root|arch|thoracic aorta|ascending/descending aorta|"
        "transverse aorta|knob|ascending/descending thoracic? aorta|thoracoabdominal aorta|abdominal aorta|"
        "aortic arch and descending aorta"
    ),
    "artery": "coronary artery|artery|subclavian/carotid artery|coronary|vessel|great vessel|brachiocephalic artery",
    "pulmonary_artery": (
        "pulmonary artery|main pulmonary artery|pulmonary trunk|pulmonary outflow tract|pulmonary arterial|"
        "central pulmonary artery|main pulmonary artery segment|pa segment|pulmonary conus"
    ),
    "node": "lymph node|node|hilar/mediastinal lymph? node",
    "trachea": "trachea|tracheal|airway|central airway|tracheal air? column|tracheobronchial tree",
    "soft_tissue": (
        "soft tissue|upper abdomen|abdomen|visualized? abdominal structure|bowel gas pattern|extrathoracic soft tissue"
    ),
    "chest": (
        "chest|cxr|thorax|chest xray/radiograph/film/exam/examination|radiograph|xray|x ray|chest x? ray?|examination|"
        "exam|study|film"
    ),
}

# What is said of an anatomy; `labeling.rules.finding_pairs` knows what the two mean together.
QUALITY: dict[str, str] = {
    "normal": (
        "normal|near top normal|normal variant|within? normal limit|within limit of normal|wnl|unremarkable|intact|"
        "normal for age|normal in size/caliber/contour/appearance/configuration/position|within normal|"
        "normal in? size and contour/configuration/shape|without abnormality/pathology|normal in contour and size|"
        "preserved|upper/high/top limit/normal/range? of normal|upper limit of? normal size?|high/top/upper normal|"
        "top normal in? size|not remarkable|upper normal in? size|limit of normal|free of disease|"
        "upper limit of normal in size|nonenlarged|not enlarged|normal size|without abnormality|"
        "mid limit of normal|maintained|nondilated|normal limit in size"
    ),
    "expanded": "expanded|well/adequately/normally/symmetrically/fully expanded/inflated/aerated/ventilated",
    "clear": (
        "clear|clear and expanded|sharp|well expanded and clear|clear and well expanded/aerated/inflated|"
        "sharply/well defined"
    ),
    "midline": "midline|in midline|nondeviated",
    "enlarged": (
        "enlarged|enlargement|enlarge|dilated|dilation|dilatation|widened|wide|widening|globular|big|"
        "hypertrophy|hypertrophic|enlarged in size|increased in size|distended"
    ),
    "prominent": "prominent|prominence|prominent in size|fullness|full",
    "borderline": (
        "borderline|borderline in size|borderline normal|borderline normal in? size|"
        "upper limit of normal to borderline enlarged|normal to borderline/mildly? enlarged?|"
        "mildly prominent in size|borderline prominent"
    ),
    "borderline_enlarged": (
        "borderline enlarged/enlargement|borderline large|borderline in size enlarged|"
        "borderline to mildly/slightly/mild enlarged/enlargement"
    ),
    "elevated": "elevated|elevation|raised|high|higher|tented|tenting",
    "flattened": "flattened|flattening|flat|depressed",
    "bulky": "bulky",
    "blunted": "loss of|blunted|blunting|blunt|obscured|obscuration|obliterated|obliteration|effaced|filling of",
    "calcified": "calcified|calcification|calcific|calcinosis|calcific density|atherosclerotic|atheromatous",
    "sclerotic": "sclerosis|sclerotic",
    "curved": "curvature|curved|curve|bowing",
    "increased": "increase|increased|increasing|coarse|coarsened|coarsening|exaggerated",
    "thickened": "thickened|thickening|thick",
    "engorged": "engorged|plethoric|congested",
    "indistinct": "indistinct|indistinctness|ill defined|blurred|blurring|fuzzy|hazy",
    "decreased": "low|shallow|poor",
    "deformed": "deformity|deformed|irregularity",
    "degenerated": "degenerative|degenerated|degeneration",
    "deviated": "deviated|deviation|shift|shifted|displaced|displacement",
    "collapsed": "collapse|collapsing",
}
