"""What an anatomy and a quality say together: heart + enlarged, diaphragm + elevated, angle + blunted.

Normal anatomy gives `no_finding`, and denies what the normal word rules out:
    heart normal -> no cardiomegaly; silhouette normal -> neither cardiomegaly nor a wide mediastinum;
    angles sharp -> no blunting; bones or spine intact -> no osseous abnormality; ribs intact -> no rib fracture;
    vasculature normal -> no congestion;
    pleural spaces clear -> neither fluid nor air; lungs clear -> no opacity; trachea midline -> no shift.
"""

from __future__ import annotations

_OF_A_BONE: dict[str, tuple[str, ...]] = dict.fromkeys(("bone", "spine", "single_bone"), ("osseous_abnormality",))

# quality -> anatomy -> labels stated
STATED: dict[str, dict[str, tuple[str, ...]]] = {
    "enlarged": {
        "heart": ("cardiomegaly",),
        "cardiomediastinum": ("cardiomegaly", "enlarged_cardiomediastinum"),
        "mediastinum": ("enlarged_cardiomediastinum",),
        "pulmonary_artery": ("enlarged_pulmonary_artery",),
        "node": ("adenopathy",),
        "vessel": ("pulmonary_venous_hypertension",),
        "interstitium": ("interstitial_opacity",),
        "aorta": ("tortuous_aorta",),
    },
    "bulky": {"node": ("adenopathy",), "hilum": ("adenopathy",)},
    "prominent": {
        "heart": ("cardiomegaly",),
        "cardiomediastinum": ("cardiomegaly",),
        "mediastinum": ("enlarged_cardiomediastinum",),
        "pulmonary_artery": ("enlarged_pulmonary_artery",),
        "node": ("adenopathy",),
        "vessel": ("pulmonary_venous_hypertension",),
        "interstitium": ("interstitial_opacity",),
    },
    "borderline_enlarged": {"heart": ("cardiomegaly",), "cardiomediastinum": ("cardiomegaly",)},
    "borderline": {"heart": ("cardiomegaly",), "cardiomediastinum": ("cardiomegaly",)},
    "elevated": {"diaphragm": ("diaphragm_elevation",)},
    "flattened": {"diaphragm": ("hyperinflation",)},
    "blunted": {"costophrenic_angle": ("costophrenic_angle_blunting",)},
    "calcified": {
        "aorta": ("arterial_calcification",),
        "artery": ("arterial_calcification",),
        "vessel": ("arterial_calcification",),
        "node": ("granulomatous_disease",),
        "hilum": ("granulomatous_disease",),
        "pleura": ("pleural_thickening",),
    },
    "increased": {
        "heart": ("cardiomegaly",),
        "cardiomediastinum": ("cardiomegaly", "enlarged_cardiomediastinum"),
        "vessel": ("vascular_congestion",),
        "interstitium": ("interstitial_opacity",),
        "lung_volume": ("hyperinflation",),
    },
    "thickened": {"pleura": ("pleural_thickening",), "interstitium": ("interstitial_opacity",)},
    "engorged": dict.fromkeys(("vessel", "artery", "lung"), ("pulmonary_venous_hypertension",)),
    "indistinct": {"vessel": ("vascular_congestion",)},
    "decreased": {"lung_volume": ("low_lung_volume",)},
    "deformed": {"rib": ("rib_fracture",), **_OF_A_BONE},
    "degenerated": {"rib": ("osseous_abnormality",), **_OF_A_BONE},
    "sclerotic": {
        **_OF_A_BONE,
        "rib": ("osseous_abnormality",),
        "aorta": ("arterial_calcification",),
    },
    "curved": _OF_A_BONE,
    "deviated": {
        "trachea": ("mediastinal_shift",),
        "mediastinum": ("mediastinal_shift",),
        "heart": ("mediastinal_shift",),
    },
    "collapsed": {"lung": ("atelectasis",), "bone": ("fracture",), "spine": ("fracture",)},
}
STATED["not_increased"] = STATED["increased"]  # and denies it

# anatomy -> labels that "normal" denies
DENIED: dict[str, tuple[str, ...]] = {
    "heart": ("cardiomegaly",),
    "cardiomediastinum": ("cardiomegaly", "enlarged_cardiomediastinum"),
    "mediastinum": ("enlarged_cardiomediastinum",),
    "hilum": (),
    "lung": ("lung_opacity",),
    "lung_volume": (),
    "pleura": ("pleural_effusion", "pneumothorax"),
    "bone": ("osseous_abnormality",),
    "spine": ("osseous_abnormality",),
    "single_bone": (),  # one bone does not speak for all
    "rib": ("rib_fracture",),
    "vessel": ("vascular_congestion",),
    "interstitium": ("interstitial_opacity",),
    "diaphragm": ("diaphragm_elevation",),
    "costophrenic_angle": ("costophrenic_angle_blunting",),
    "aorta": (),
    "artery": (),
    "pulmonary_artery": ("enlarged_pulmonary_artery",),
    "node": ("adenopathy",),
    "trachea": ("mediastinal_shift",),
    "soft_tissue": (),
    "chest": (),
}
NORMAL = frozenset({"normal", "clear", "expanded", "midline"})
# A heart in the midline, or a lung that is "sharp", is not said; these words fit only some anatomies.
FITS: dict[str, frozenset[str]] = {
    "expanded": frozenset({"lung", "lung_volume"}),
    "midline": frozenset({"trachea", "mediastinum"}),
    "clear": frozenset(
        {
            "lung",
            "pleura",
            "costophrenic_angle",
            "chest",
            "diaphragm",
            "trachea",
            "hilum",
            "vessel",
            "mediastinum",
            "heart",
        }
    ),
}
