"""The example films of `examples/images/`: `python -m studies example-images -o examples/images` makes them again."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from studies.synthetic.dicom import Compression, write_dicom
from studies.synthetic.facts import Consolidation, Device, Effusion, Facts, Pneumothorax
from studies.synthetic.files import STUDY_COLUMNS, Photometric, study_row, write_png
from studies.synthetic.study import SyntheticStudy, make_study

_NOISE = 0.004  # little, so that the files are small


class Example(NamedTuple):
    """seed draws the person; facts: what the film shows; write: how the file is made."""

    name: str
    seed: int
    facts: Facts
    write: Callable[[Path, SyntheticStudy], None]
    size_px: int = 518


def _png(path: Path, study: SyntheticStudy) -> None:
    write_png(path, study.pixels_HW, 8, compress_level=9)


def _png16(path: Path, study: SyntheticStudy) -> None:
    write_png(path, study.pixels_HW, 16, compress_level=9)


def _inverted_dicom(path: Path, study: SyntheticStudy) -> None:
    write_dicom(path, study, bits=12, photometric=Photometric.MONOCHROME1, compression=Compression.RLE)


def _windowed_dicom(path: Path, study: SyntheticStudy) -> None:
    # 12 bits whose upper half the window clips: a reader that leaves the window out shows another film
    write_dicom(path, study, bits=12, window=(1700.0, 3000.0), compression=Compression.DEFLATED)


_ETT = Device("endotracheal_tube", "unspecified", "above_carina", "correct", 45, 4.5, "carina")
_ETT_LOW = Device("endotracheal_tube", "unspecified", "right_main_bronchus", "incorrect", 20)
_NGT = Device("nasogastric_tube", "unspecified", "stomach", "correct", 1)
_IJ = Device("internal_jugular_cvc", "right", "lower_svc", "correct", 26)
_PICC = Device("picc", "left", "cavoatrial_junction", "correct", 41)
_CHEST_TUBE = Device("chest_tube", "left", "upper", "correct", 1)

EXAMPLES = (
    Example("pa_normal.png", 11, Facts(), _png),
    Example("pa_normal_16bit.png", 12, Facts(heart_ratio=0.42), _png16, 256),
    Example("lateral_normal.png", 11, Facts(view="LATERAL"), _png),
    Example("pa_effusion_right.png", 13, Facts(effusions=(Effusion("right", 92.0),)), _png),
    Example("pa_pneumothorax_left.png", 14, Facts(pneumothoraces=(Pneumothorax("left", 32.0),)), _png),
    Example("pa_cardiomegaly.png", 15, Facts(heart_ratio=0.64), _png),
    Example("pa_consolidation_right.png", 16, Facts(consolidations=(Consolidation("right", "lower"),)), _png),
    Example("ap_tubes.png", 17, Facts(view="AP", heart_ratio=0.48, devices=(_ETT, _NGT, _IJ)), _png),
    Example(
        "ap_bronchial_tube_edema.png",
        18,
        Facts(view="AP", heart_ratio=0.61, edema_density=0.44, devices=(_ETT_LOW, _NGT)),
        _png,
    ),
    Example(
        "ap_chest_tube.png",
        19,
        Facts(view="AP", heart_ratio=0.47, pneumothoraces=(Pneumothorax("left", 12.0),), devices=(_CHEST_TUBE, _PICC)),
        _png,
    ),
    Example(
        "pa_monochrome1_12bit_rle.dcm",
        20,
        Facts(effusions=(Effusion("left", 36.0),), atelectasis=("right",)),
        _inverted_dicom,
        384,
    ),
    Example("ap_window_deflated.dcm", 21, Facts(view="AP", heart_ratio=0.45, devices=(_PICC,)), _windowed_dicom, 384),
)


def make_example(example: Example, number: int) -> SyntheticStudy:
    """The study of one example; films of one seed are one patient's."""
    return make_study(
        example.seed,
        facts=example.facts,
        setting="icu" if example.facts.view == "AP" else "outpatient",
        size_px=example.size_px,
        noise=_NOISE,
        patient_id=f"SYN-P{example.seed:03d}",
        study_id=f"SYN-{number:03d}",
    )


def write_examples(folder: Path) -> int:
    """Write every example, and studies.csv and reports.csv that name them; give their number."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "studies.csv").open("w", encoding="utf-8", newline="") as studies_file,
        (folder / "reports.csv").open("w", encoding="utf-8", newline="") as reports_file,
    ):
        studies_csv = csv.writer(studies_file, lineterminator="\n")
        reports_csv = csv.writer(reports_file, lineterminator="\n")
        studies_csv.writerow(STUDY_COLUMNS)
        reports_csv.writerow(("report_id", "text"))
        for number, example in enumerate(EXAMPLES, 1):
            study = make_example(example, number)
            example.write(folder / example.name, study)
            studies_csv.writerow(study_row(study, example.name))
            reports_csv.writerow((study.study_id, study.report))
    return len(EXAMPLES)
