"""Short reports with traps, each with the lines and tubes they must give.

One line of the expectation is one device: its short name, then what must be true of it, in any order: a side (left,
right,
midline; otherwise unspecified), "removed", "tip=...", "cm=...", a subtype, a stated position, an advice. What is not
written must be the plain value (in place, standard, not stated, no advice); a tip or distance not written is not
checked.
"""

from __future__ import annotations

import json

import pytest

from labeling.facts import LineTubeAnswer
from labeling.rules.devices import read_lines_and_tubes
from labeling.rules.names import name_in
from labeling.vocabulary import ALL_SUBTYPES, Advice, LineTubeType, StatedPosition
from studies.report_text import split_sentences

SHORT = {
    "ett": "endotracheal_tube",
    "trach": "tracheostomy_tube",
    "ngt": "nasogastric_tube",
    "ij": "internal_jugular_cvc",
    "picc": "picc",
    "sc": "subclavian_cvc_or_port",
    "swan": "swan_ganz_catheter",
    "ct": "chest_tube",
    "med": "mediastinal_drain",
    "iabp": "intra_aortic_balloon_pump",
}
CASES: list[tuple[str, str]] = [
    # endotracheal tubes
    ("ETT tip 4 cm above the carina.", "ett tip=above_carina cm=4"),
    ("The endotracheal tube terminates 2.2 cm superior to the carina.", "ett tip=above_carina cm=2.2"),
    ("ET tube is 37 mm from the carina.", "ett tip=above_carina cm=3.7"),
    ("E.T. tube lies approximately 7 cm from the carina and could be advanced 2 cm.", "ett cm=7 advance"),
    ("Endotracheal tube tip between 3 and 4 cm above the carina.", "ett cm=3.5"),
    ("ENDOTRACHEAL TUBE TIP 1.5 CM ABOVE CARINA. RECOMMEND WITHDRAWAL BY 2 CM.", "ett cm=1.5 withdraw"),
    ("ETT in the right mainstem bronchus; pull back 3 cm.", "ett tip=right_main_bronchus withdraw"),
    ("Right mainstem intubation with the ETT tip in the bronchus intermedius.", "ett tip=right_main_bronchus"),
    ("Endotracheal tube at the level of the clavicular heads.", "ett tip=thoracic_inlet"),
    ("The ETT is just above the carina.", "ett tip=lower_trachea"),
    ("ETT at the level of the carina.", "ett tip=carina"),
    ("Endotracheal tube within the mid trachea.", "ett tip=mid_trachea"),
    ("ETT in standard position.", "ett satisfactory"),
    ("ETT well positioned.", "ett satisfactory"),
    ("The patient has been extubated.", "ett removed"),
    ("Interval extubation.", "ett removed"),
    ("ETT is no longer seen.", "ett removed"),
    ("No endotracheal tube.", ""),
    ("There is no endotracheal or enteric tube.", ""),
    ("The patient is not intubated.", ""),
    ("ETT unchanged in the right main bronchus.", "ett tip=right_main_bronchus"),
    ("The tube tip is 4 cm above the carina, previously 1 cm. ETT was in the right main bronchus.", "ett"),
    (
        "ETT has been withdrawn from the right main bronchus and now ends 3 cm above the carina.",
        "ett cm=3 tip=above_carina",
    ),
    ("Endotracheal tube has been advanced 2 cm and is now 4 cm above the carina.", "ett cm=4"),
    ("ETT high in position at the thoracic inlet.", "ett tip=thoracic_inlet too_high"),
    ("Low-lying ETT, 1 cm above the carina, recommend retraction.", "ett cm=1 too_low withdraw"),
    ("Oral endotracheal tube is in place.", "ett satisfactory"),
    ("Nasotracheal tube ends in the oesophagus.", "ett tip=esophagus"),
    ("Left-sided double lumen endotracheal tube in expected position.", "ett double_lumen satisfactory"),
    ("New ETT: tip 5 cm above carina.", "ett cm=5"),
    ("Status post intubation with tip of ETT 4.2 cm above the carina.", "ett cm=4.2"),
    # tracheostomy tubes
    ("Tracheostomy tube in midline position.", "trach midline tip=mid_trachea"),
    ("Trach tip 5 cm above carina.", "trach cm=5"),
    ("Shiley tube unchanged.", "trach satisfactory"),
    ("The trachea is midline.", ""),
    ("Tracheostomy site is clean.", ""),
    ("Tracheal stent in the mid trachea.", ""),
    ("ETT removed, tracheostomy placed with tip in mid trachea.", "ett removed; trach tip=mid_trachea"),
    ("Interval exchange of the endotracheal tube for a tracheostomy.", "ett removed; trach"),
    ("Tracheostomy cannula projects over the soft tissues of the neck.", "trach tip=outside_trachea"),
    ("Interval decannulation.", "trach removed"),
    # enteric tubes
    ("NG tube tip in the stomach.", "ngt tip=stomach"),
    ("NGT courses below the diaphragm, tip not included.", "ngt tip=below_diaphragm"),
    (
        "Orogastric tube extends into the left upper quadrant, its tip beyond the field of view.",
        "ngt tip=below_diaphragm",
    ),
    ("The enteric tube passes off the inferior margin of the film.", "ngt tip=below_diaphragm"),
    ("Dobbhoff tube tip in the second portion of the duodenum.", "ngt feeding tip=duodenum"),
    ("Dobhoff tube is post-pyloric.", "ngt feeding tip=post_pyloric"),
    ("Feeding tube in the right lower lobe bronchus.", "ngt feeding tip=airway_or_lung"),
    (
        "Nasogastric tube with side port above the GE junction; advancing by 8 cm is suggested.",
        "ngt tip=side_port_at_or_above_ge_junction advance",
    ),
    ("NG tube side port is below the gastroesophageal junction.", "ngt tip=side_port_beyond_ge_junction"),
    ("OGT tip in stomach with side hole at the GEJ.", "ngt tip=side_port_at_or_above_ge_junction"),
    ("Nasogastric tube coiled in the hypopharynx.", "ngt tip=pharynx coiled"),
    ("NG tube loops in the stomach with tip at the fundus.", "ngt tip=stomach looped"),
    ("NGT tip in the distal esophagus and should be advanced 10 cm into the stomach.", "ngt tip=esophagus advance"),
    ("PEG tube projects over the stomach.", ""),
    ("G-tube and J tube in the left upper quadrant.", ""),
    ("Esophageal temperature probe tip in the mid esophagus.", ""),
    ("Percutaneous gastrostomy tube is noted.", ""),
    ("Enteric tube has been removed.", "ngt removed"),
    ("Ryle's tube in situ.", "ngt satisfactory"),
    ("Two enteric tubes terminate in the stomach.", "ngt tip=stomach; ngt tip=stomach"),
    ("NG tube and feeding tube end in the stomach.", "ngt tip=stomach; ngt feeding tip=stomach"),
    # jugular and unnamed central lines
    ("Right IJ line tip in the mid SVC.", "ij right tip=mid_svc"),
    ("RIJ in low SVC.", "ij right tip=lower_svc"),
    ("LIJ CVC tip at cavoatrial junction.", "ij left tip=cavoatrial_junction"),
    (
        "Left internal jugular central venous catheter ends in the left brachiocephalic vein.",
        "ij left tip=brachiocephalic_vein",
    ),
    (
        "Central venous catheter from a right approach terminates at the SVC/RA junction.",
        "ij right tip=cavoatrial_junction",
    ),
    ("Right-sided central line with tip in the right atrium.", "ij right tip=right_atrium"),
    ("Left triple lumen catheter tip overlies the upper SVC.", "ij left tip=upper_svc"),
    (
        "Tunneled dialysis catheter, right IJ approach, tip in right atrium, unchanged.",
        "ij right dialysis tip=right_atrium satisfactory",
    ),
    ("Right permcath in place.", "ij right dialysis satisfactory"),
    ("Left IJ Quinton catheter tip in proximal SVC.", "ij left dialysis tip=upper_svc"),
    ("Right IJ Cordis terminates in the brachiocephalic vein.", "ij right introducer_sheath tip=brachiocephalic_vein"),
    ("Central line via the right internal jugular vein in the SVC.", "ij right tip=svc"),
    ("CVC placed through the left subclavian vein ends in the SVC.", "sc left tip=svc"),
    ("Femoral line tip in the IVC.", ""),
    ("Right femoral central venous catheter.", ""),
    ("Right IJ and left subclavian lines end in the SVC.", "ij right tip=svc; sc left tip=svc"),
    ("Bilateral IJ catheters are unchanged.", "ij left satisfactory; ij right satisfactory"),
    (
        "Right internal jugular line removed. Left IJ line tip in azygos vein, recommend repositioning.",
        "ij right removed; ij left tip=azygos_vein reposition",
    ),
    ("Right IJ catheter extends 2 cm below the cavoatrial junction.", "ij right cm=2"),
    # PICCs
    ("Right PICC tip in lower SVC.", "picc right tip=lower_svc"),
    ("Left upper extremity PICC terminates in the axillary vein.", "picc left tip=axillary_vein"),
    ("PICC line from the right arm, tip at the cavoatrial junction.", "picc right tip=cavoatrial_junction"),
    ("PICC via left basilic vein ends in the mid SVC.", "picc left tip=mid_svc"),
    ("Left PICC crosses the midline with tip in the right brachiocephalic vein.", "picc left tip=contralateral_vein"),
    ("Right PICC extends up the right internal jugular vein.", "picc right tip=internal_jugular_vein"),
    ("Right PICC courses through the right subclavian vein with tip in SVC.", "picc right tip=svc"),
    ("A PICC is seen on the left with the tip in the superior vena cava.", "picc left tip=svc"),
    ("RUE PICC tip not well visualized.", "picc right tip=unclear"),
    ("Left PICC is coiled in the left subclavian vein.", "picc left tip=subclavian_vein coiled"),
    ("Left midline catheter.", ""),
    ("PICC team notified.", ""),
    (
        "Right-sided PICC remains in place, tip in the cavoatrial region.",
        "picc right tip=cavoatrial_junction satisfactory",
    ),
    # subclavian lines and ports
    ("Left subclavian central line tip in SVC.", "sc left tip=svc"),
    ("Right chest port with tip in right atrium.", "sc right port tip=right_atrium"),
    ("Left chest wall Port-A-Cath terminates at the SVC.", "sc left port tip=svc"),
    ("MediPort catheter on the right ends in the mid SVC.", "sc right port tip=mid_svc"),
    ("Right IJ Port-A-Cath tip at the cavoatrial junction.", "sc right port tip=cavoatrial_junction"),
    ("Left subclavian pacemaker with leads in right atrium and right ventricle.", ""),
    ("Portable AP chest. Portal venous gas.", ""),
    ("Port site is unremarkable.", ""),
    ("Fractured port catheter with fragment in the right ventricle.", "sc port fractured"),
    ("Accessed right infusion port, unchanged.", "sc right port satisfactory"),
    ("RSC line in SVC.", "sc right tip=svc"),
    # Swan-Ganz catheters
    ("Right IJ Swan-Ganz catheter tip in the right pulmonary artery.", "swan right tip=right_pulmonary_artery"),
    ("PA catheter tip in main pulmonary artery.", "swan tip=main_pulmonary_artery"),
    (
        "Swan tip too distal in the right lower lobe pulmonary artery, withdraw 4 cm.",
        "swan tip=distal_pulmonary_artery too_low withdraw",
    ),
    ("Swan-Ganz coiled in the right ventricle.", "swan tip=right_ventricle coiled"),
    (
        "Right IJ introducer sheath with Swan-Ganz catheter tip in the left main pulmonary artery.",
        "ij right introducer_sheath; swan right tip=left_pulmonary_artery",
    ),
    (
        "The Swan-Ganz catheter has been removed with the right IJ sheath remaining in place.",
        "swan removed; ij right introducer_sheath satisfactory",
    ),
    ("Pulmonary artery is enlarged.", ""),
    ("Swan-Ganz catheter tip is in the right ventricular outflow tract.", "swan tip=pulmonary_outflow_tract"),
    # chest tubes
    ("Right chest tube in place.", "ct right satisfactory"),
    ("Left basilar pigtail catheter unchanged.", "ct left tip=lower satisfactory"),
    ("Right apical chest tube.", "ct right tip=upper"),
    ("Chest tube with tip at the left apex.", "ct left tip=upper"),
    ("Bilateral chest tubes in place.", "ct left satisfactory; ct right satisfactory"),
    ("Right and left chest tubes are unchanged.", "ct left satisfactory; ct right satisfactory"),
    ("2 left pigtails in place.", "ct left satisfactory; ct left satisfactory"),
    ("Two right chest tubes, one at the apex and the other at the base.", "ct right tip=upper; ct right tip=lower"),
    ("Right apical and right basal chest tubes.", "ct right tip=upper; ct right tip=lower"),
    ("Left chest tube side port projects outside the rib cage.", "ct left tip=side_port_outside_rib_cage"),
    ("Right chest tube tip lies in the subcutaneous tissues of the chest wall.", "ct right tip=outside_chest"),
    ("Left chest tube is kinked.", "ct left kinked"),
    ("Right chest tube without kinking.", "ct right"),
    ("Left chest tube tip in the major fissure.", "ct left tip=unclear"),
    ("Right PleurX catheter at the right lung base.", "ct right tip=lower"),
    ("Small right apical pneumothorax with right chest tube in place.", "ct right satisfactory"),
    ("No pneumothorax following left chest tube removal.", "ct left removed"),
    ("No chest tube is seen.", ""),
    ("Interval removal of right chest tube. No pneumothorax.", "ct right removed"),
    ("The right chest tube has been exchanged for a pigtail catheter.", "ct right removed; ct right"),
    ("Recommend chest tube placement.", ""),
    ("If a chest tube is placed, repeat the film.", ""),
    ("Pigtail catheter in the right upper quadrant.", ""),
    ("Biliary drain and perihepatic pigtail catheter.", ""),
    ("Intercostal drain on the left side with tip directed to the apex.", "ct left tip=upper"),
    ("Left thoracostomy tube projects below the diaphragm.", "ct left tip=below_diaphragm"),
    (
        "A second right chest tube has been placed. The first right chest tube is unchanged.",
        "ct right; ct right satisfactory",
    ),
    # mediastinal drains
    ("Mediastinal drain in place.", "med satisfactory"),
    (
        "Mediastinal and bilateral chest tubes are unchanged.",
        "med satisfactory; ct left satisfactory; ct right satisfactory",
    ),
    ("Pericardial drain overlies the heart.", "med pericardial tip=pericardium"),
    ("Mediastinal drains and epicardial wires have been removed.", "med removed"),
    ("Left pleural and mediastinal drains in situ.", "ct left satisfactory; med satisfactory"),
    # balloon pumps
    ("IABP tip 2 cm below the aortic knob.", "iabp cm=2 tip=proximal_descending_aorta"),
    (
        "Intra-aortic balloon pump marker at the aortic arch, recommend withdrawing 2 cm.",
        "iabp tip=aortic_arch withdraw",
    ),
    ("Balloon pump tip in the proximal descending thoracic aorta.", "iabp tip=proximal_descending_aorta"),
    ("Interval removal of IABP. Impella in place.", "iabp removed"),
    ("ECMO cannula in the right atrium. LVAD in place.", ""),
    # lists
    (
        "ETT, NGT and right IJ line are in standard position.",
        "ett satisfactory; ngt satisfactory; ij right satisfactory",
    ),
    (
        "Endotracheal tube, feeding tube and left PICC are unchanged.",
        "ett satisfactory; ngt feeding satisfactory; picc left satisfactory",
    ),
    (
        "ETT tip 4 cm above carina, NGT tip in stomach, RIJ in mid SVC.",
        "ett cm=4; ngt tip=stomach; ij right tip=mid_svc",
    ),
    ("ETT and NGT have been removed; right PICC remains.", "ett removed; ngt removed; picc right"),
    ("Interval removal of ETT, NGT, and right IJ catheter.", "ett removed; ngt removed; ij right removed"),
    ("ET and NG tubes in good position.", "ett satisfactory; ngt satisfactory"),
    (
        "ETT in place. NGT coiled in the esophagus. Left subclavian line kinked.",
        "ett satisfactory; ngt tip=esophagus coiled; sc left kinked",
    ),
    ("Removal of the ETT with placement of a left PICC.", "ett removed; picc left"),
    ("Stable right PICC and left chest tube.", "picc right satisfactory; ct left satisfactory"),
    # the next sentence
    (
        "Right PICC has been placed. Its tip projects over the right atrium. This should be retracted by 3 cm.",
        "picc right tip=right_atrium withdraw",
    ),
    ("Left chest tube is present. The side port lies outside the rib cage.", "ct left tip=side_port_outside_rib_cage"),
    ("NG tube present. Tip in stomach.", "ngt tip=stomach"),
    ("ETT. 4 cm above the carina.", "ett"),
    ("Right IJ catheter. The catheter tip is in the SVC. Recommend advancing 3 cm.", "ij right tip=svc advance"),
    (
        "Right IJ line tip in SVC. NGT in stomach. Lines and tubes unchanged.",
        "ij right tip=svc satisfactory; ngt tip=stomach satisfactory",
    ),
    ("Lines and tubes unchanged.", ""),
    ("Bilateral chest tubes. The left tube is kinked.", "ct left kinked; ct right"),
    ("Pacemaker leads unchanged. Tips in the right atrium and ventricle.", ""),
    # exchanged, one of two, the other
    (
        "One of the right chest tubes has been removed; the other remains at the apex.",
        "ct right removed; ct right tip=upper",
    ),
    ("The more superior of the two right chest tubes is kinked.", "ct right kinked; ct right"),
    ("Left chest tubes x2 with tips at the apex and base.", "ct left tip=upper; ct left tip=lower"),
    (
        "Left apical and basilar chest tubes are unchanged.",
        "ct left tip=upper satisfactory; ct left tip=lower satisfactory",
    ),
    ("Right apical and left basilar pigtails.", "ct right tip=upper; ct left tip=lower"),
    ("Pigtail catheters are present bilaterally. The left is kinked.", "ct left kinked; ct right"),
    ("Both chest tubes have been removed.", "ct left removed; ct right removed"),
    (
        "Chest tube on the right has its tip near the apex; that on the left ends at the base.",
        "ct right tip=upper; ct left tip=lower",
    ),
    (
        "There are two PICCs. The right one is in the SVC and the left one in the azygos vein.",
        "picc right tip=svc; picc left tip=azygos_vein",
    ),
    (
        "A right internal jugular dialysis catheter has replaced the left-sided one.",
        "ij right dialysis; ij left removed",
    ),
    (
        "The right IJ catheter has been exchanged for a tunneled one, tip in the SVC.",
        "ij right removed; ij right tip=svc",
    ),
    ("Left IJ Swan-Ganz exchanged for a triple-lumen catheter, tip in the SVC.", "swan left removed; ij left tip=svc"),
    ("Right subclavian line replaced by a right IJ line ending in the SVC.", "sc right removed; ij right tip=svc"),
    (
        "Right and left IJ catheters end in the mid SVC and at the cavoatrial junction respectively.",
        "ij right tip=mid_svc; ij left tip=cavoatrial_junction",
    ),
    ("Swan out. ETT is out. Right IJ cordis remains.", "swan removed; ett removed; ij right introducer_sheath"),
    ("Interval removal of the ETT and the NGT is coiled in the esophagus.", "ett removed; ngt tip=esophagus coiled"),
    ("SWAN: NONE. CHEST TUBES: NONE. ETT: REMOVED.", "ett removed"),
    # what was, what is wanted, what is only planned
    ("ETT tip now measures 5 cm above the carina compared to 2 cm previously.", "ett cm=5"),
    (
        "The ETT, which lay in the right main bronchus on the earlier film, now ends 4 cm above the carina.",
        "ett cm=4 tip=above_carina",
    ),
    ("PICC tip in the right atrium, retract so that the tip lies in the SVC.", "picc tip=right_atrium withdraw"),
    (
        "Right IJ line ends in the upper right atrium and would need to be withdrawn 2 cm to lie in the SVC.",
        "ij right tip=high_right_atrium withdraw",
    ),
    ("A chest tube is recommended. The team is preparing to place a right chest tube.", ""),
    ("Recommend nasogastric tube for decompression.", ""),
    ("Chest tube placement may be considered.", ""),
    ("Right PICC has been withdrawn. Swan-Ganz catheter unchanged.", "picc right removed; swan satisfactory"),
    (
        "Nasogastric tube courses into the left mainstem bronchus; immediate removal is advised.",
        "ngt tip=airway_or_lung withdraw",
    ),
    ("PICC tip in the high right atrium but may be at the cavoatrial junction.", "picc tip=high_right_atrium"),
    # telegraphic, capitals, de-identified, misspelt
    (
        "ETT 3.2 above carina. NGT coiled in stomach. Rt IJ mid SVC.",
        "ett cm=3.2; ngt tip=stomach coiled; ij right tip=mid_svc",
    ),
    ("MT x1 and L CT remain in place.", "med satisfactory; ct left satisfactory"),
    (
        "Lines: PICC R arm, tip in RA - pull back 3cm. OGT good.",
        "picc right tip=right_atrium withdraw; ngt satisfactory",
    ),
    ("CENTRAL LINES: RIGHT IJ CVC TIP IN THE SVC. LEFT PICC REMOVED.", "ij right tip=svc; picc left removed"),
    ("r ij dbl lumen HD cath tip low svc", "ij right dialysis tip=lower_svc"),
    ("Right jugular XXXX catheter with tip overlying the lower SVC.", "ij right tip=lower_svc"),
    ("The endotrachael tube is 4 cm above the carina. Rigth PICC in the SVC.", "ett cm=4; picc right tip=svc"),
    (
        "Tracheostomy in situ. NG in situ, tip below diaphragm. R IJ vascath in situ, tip SVC.",
        "trach satisfactory; ngt tip=below_diaphragm satisfactory; ij right dialysis tip=svc satisfactory",
    ),
    (
        "PICC (right): removed. Nasogastric tube: stomach, side port past the GE junction.",
        "picc right removed; ngt tip=stomach",
    ),
    (
        "Monitoring and support devices are unchanged: ETT, OGT, right IJ line.",
        "ett satisfactory; ngt satisfactory; ij right satisfactory",
    ),
    (
        "ETT. NGT. Right PICC. All in satisfactory position.",
        "ett satisfactory; ngt satisfactory; picc right satisfactory",
    ),
    ("Enteric tubes: OGT in the stomach. Dilated loops of bowel.", "ngt tip=stomach"),
    ("Right port reservoir, catheter not visualised.", "sc right port tip=unclear"),
    ("Left infraclavicular generator with right atrial and right ventricular leads.", ""),
    ("VA ECMO with right IJ venous cannula, tip in the IVC.", ""),
    ("Midline and left pleural drains are in place.", "med midline satisfactory; ct left satisfactory"),
    (
        "NG tube tip is below the diaphragm but the side port is above the diaphragm.",
        "ngt tip=side_port_at_or_above_ge_junction",
    ),
    ("Right pulmonary artery catheter tip in the left pulmonary artery.", "swan right tip=left_pulmonary_artery"),
    ("Left IJ vascular catheter for dialysis in the mid right atrium.", "ij left dialysis tip=right_atrium"),
    ("Left IJ catheter tip in the right atrium; the catheter is not a dialysis line.", "ij left tip=right_atrium"),
    # findings and impression
    ("FINDINGS: ETT 3 cm above the carina. IMPRESSION: ETT in satisfactory position.", "ett cm=3 satisfactory"),
    ("INDICATION: Right chest tube, ETT placement. FINDINGS: Left PICC in SVC.", "picc left tip=svc"),
    ("COMPARISON: Film before Swan-Ganz removal.\nFINDINGS: Clear lungs.", ""),
    ("Compared to the study before ETT placement, the edema is worse.", ""),
    ("Findings: Right-sided PICC.\nImpression: PICC tip in the mid SVC.", "picc right tip=mid_svc"),
]


def read(report):
    sentences = split_sentences(report)
    entries = read_lines_and_tubes(sentences, [])
    LineTubeAnswer.model_validate_json(json.dumps({"lines_and_tubes": entries}))
    for entry in entries:
        named = [n for n in entry["sentences"] if name_in(LineTubeType(entry["type"]), sentences[n - 1].text)]
        assert named, f"no sentence of {entry['sentences']} names the {entry['type']}"
    return entries


def described(expected, entry):
    """The entry in the words of the expectation: what the expectation leaves unchecked is left out."""
    words = {next(short for short, name in SHORT.items() if name == entry["type"])}
    words |= {entry["side"], entry["status"], entry["subtype"], entry["stated"], entry["advice"]}
    words -= {"unspecified", "in_place", "standard", "not_stated", "none"}
    if any(word.startswith("tip=") for word in expected):
        words.add(f"tip={entry['tip']}")
    if any(word.startswith("cm=") for word in expected):
        words.add(f"cm={entry['tip_distance_cm']:g}" if entry["tip_distance_cm"] is not None else "cm=")
    return words


@pytest.mark.parametrize(("report", "expected"), CASES, ids=[case[0][:70] for case in CASES])
def test_each_trap_gives_exactly_its_devices(report, expected):
    wanted = [set(part.split()) for part in expected.split(";") if part.strip()]
    entries = read(report)
    got = [described(want, entry) for want, entry in zip(wanted, _ordered(wanted, entries), strict=False)]
    assert len(entries) == len(wanted), [(e["type"], e["side"], e["status"], e["tip"]) for e in entries]
    assert got == wanted


def _ordered(wanted, entries):
    """Entries in the order of the expectation, best likeness first."""
    left = list(entries)
    ordered = []
    for want in wanted:
        if not left:
            break
        best = max(
            left, key=lambda entry: len(want & described(want, entry)) + (SHORT[_device(want)] == entry["type"]) * 10
        )
        left.remove(best)
        ordered.append(best)
    return ordered


def _device(words):
    return next(short for short in SHORT if short in words)


def test_every_word_of_an_expectation_is_one_that_an_entry_can_have():
    known = {*SHORT, "left", "right", "midline", "removed", *ALL_SUBTYPES, *map(str, StatedPosition), *map(str, Advice)}
    words = {word for _, expected in CASES for word in expected.replace(";", " ").split() if "=" not in word}
    assert words <= known, words - known
