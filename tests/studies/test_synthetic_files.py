"""`python -m studies synthetic` and the example films: what is written can be read, and is what was made."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from studies.cli import app
from studies.synthetic import make_cohort, make_study
from studies.synthetic.dicom import Compression, write_dicom
from studies.synthetic.examples import EXAMPLES
from studies.synthetic.files import Photometric, stored_values

pydicom = pytest.importorskip("pydicom")
Image = pytest.importorskip("PIL.Image")
ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "examples" / "images"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def made(folder, *options, count=2):
    result = run("synthetic", "-o", folder, "--count", count, "--size", 64, *options)
    assert result.exit_code == 0, result.output
    with (folder / "studies.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_films_masks_reports_and_labels_that_belong_together(tmp_path):
    rows = made(tmp_path, "--seed", 5, count=6)
    studies = list(make_cohort(6, 5, size_px=64))
    assert [row["study_id"] for row in rows] == [study.study_id for study in studies]
    with (tmp_path / "reports.csv").open(newline="") as file:
        reports = {row["report_id"]: row["text"] for row in csv.DictReader(file)}
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    for row, study, label in zip(rows, studies, labels, strict=True):
        assert (row["patient_id"], row["view"], row["sex"], row["setting"]) == (
            study.patient_id,
            study.view,
            study.anatomy.sex,
            study.setting,
        )
        pixels = np.asarray(Image.open(tmp_path / row["image"]))
        np.testing.assert_array_equal(pixels, np.rint(study.pixels_HW * 255))
        assert reports[study.study_id] == study.report
        assert label == json.loads(json.dumps(study.labels))
        masks = {path.stem: np.asarray(Image.open(path)) for path in (tmp_path / "masks" / study.study_id).iterdir()}
        assert set(masks) == set(study.masks)
        assert all(np.array_equal(masks[name], study.masks[name]) for name in masks)


def test_every_option_changes_what_is_written(tmp_path):
    def first(name, *options):
        folder = tmp_path / name
        row = made(folder, *options)[0]
        return np.asarray(Image.open(folder / row["image"])), row

    plain, row = first("plain")
    assert not np.array_equal(first("seed", "--seed", 1)[0], plain)
    assert not np.array_equal(first("noise", "--noise", 0.1)[0], plain)
    deep, _ = first("bits", "--bits", 16)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 65535 - plain / 255).max() < 0.5 / 255 + 1e-4
    result = run("synthetic", "-o", tmp_path / "size", "--count", 1, "--size", 96)
    assert result.exit_code == 0
    assert Image.open(next((tmp_path / "size" / "images").iterdir())).size == (96, 96)
    alone = made(tmp_path / "alone", "--studies-per-patient", 1, count=8)
    several = made(tmp_path / "several", "--studies-per-patient", 8, count=8)
    assert len({r["patient_id"] for r in alone}) == 8 > len({r["patient_id"] for r in several})
    assert row["image"].endswith(".png")


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_holds_the_film_in_those_bits_and_that_polarity(tmp_path, bits, photometric):
    row = made(tmp_path, "--format", "dicom", "--bits", bits, "--photometric", photometric)[0]
    study = next(make_cohort(2, 0, size_px=64))
    file = pydicom.dcmread(tmp_path / row["image"])
    assert (file.BitsStored, file.PhotometricInterpretation, file.Modality) == (bits, photometric, "DX")
    assert file.PresentationIntentType == "FOR PRESENTATION"
    assert file.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
    top = 2**bits - 1
    shown = file.pixel_array / top
    if photometric == "MONOCHROME1":
        shown = 1 - shown
    assert np.abs(shown - study.pixels_HW).max() <= 0.5 / top + 1e-6
    assert (file.PatientID, file.ViewPosition == "LL") == (study.patient_id, study.view == "LATERAL")
    assert float(file.PixelSpacing[0]) == pytest.approx(study.spacing_mm, abs=1e-5)


def test_compression_and_window_are_written(tmp_path):
    study = make_study(2, size_px=64)
    for compression in Compression:
        path = tmp_path / f"{compression}.dcm"
        write_dicom(path, study, compression=compression, window=(1000.0, 500.0))
        file = pydicom.dcmread(path)
        np.testing.assert_array_equal(file.pixel_array, stored_values(study.pixels_HW, 12))
        assert (float(file.WindowCenter), float(file.WindowWidth)) == (1000.0, 500.0)
    names = [pydicom.dcmread(tmp_path / f"{c}.dcm").file_meta.TransferSyntaxUID.name for c in Compression]
    assert len(set(names)) == 3
    write_dicom(tmp_path / "plain.dcm", study, photometric=Photometric.MONOCHROME2)
    assert "WindowCenter" not in pydicom.dcmread(tmp_path / "plain.dcm")


def test_the_same_study_has_the_same_identifiers(tmp_path):
    study = make_study(2, size_px=64)
    for name in ("a", "b"):
        write_dicom(tmp_path / name, study)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", 12), "bits 12: a png has 8 or 16"),
        (("--format", "dicom", "--bits", 10), "bits 10: a dicom has 8 or 12 or 16"),
        (("--photometric", "MONOCHROME1"), "MONOCHROME1 is for dicom"),
    ],
)
def test_what_no_file_can_hold_is_refused_in_one_line(tmp_path, options, message):
    result = run("synthetic", "-o", tmp_path / "new", "--count", 1, *options)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_studies_is_not_written_over(tmp_path):
    made(tmp_path, count=1)
    result = run("synthetic", "-o", tmp_path, "--count", 1)
    assert result.exit_code == 2
    assert "holds studies.csv already" in result.output


@pytest.mark.parametrize(("kind", "package"), [("png", "PIL"), ("dicom", "pydicom")])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, kind, package):
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    result = run("synthetic", "-o", tmp_path / "new", "--count", 1, "--size", 64, "--format", kind)
    assert result.exit_code == 2
    assert 'not installed; install the extra: pip install "carina-cxr[images]"' in result.output


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("synthetic", "-o", tmp_path / "file" / "new", "--count", 1, "--size", 64)
    assert result.exit_code == 1
    assert "cannot write to" in result.output


def pixels(path):
    return pydicom.dcmread(path).pixel_array if path.suffix == ".dcm" else np.asarray(Image.open(path))


def test_the_example_films_are_what_their_command_makes(tmp_path):
    result = run("example-images", "-o", tmp_path)
    assert result.exit_code == 0
    assert f"{len(EXAMPLES)} studies" in result.output
    for example in EXAMPLES:
        kept, again = pixels(IMAGES / example.name), pixels(tmp_path / example.name)
        assert kept.dtype == again.dtype
        levels = 1 if kept.max() < 256 else kept.max() / 255  # another machine may round otherwise: a level of 8 bits
        assert np.abs(kept.astype(int) - again).max() <= levels, example.name
    for name in ("studies.csv", "reports.csv"):
        assert (IMAGES / name).read_text() == (tmp_path / name).read_text()


def test_the_example_films_are_small_named_and_of_every_kind():
    with (IMAGES / "studies.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {p.name for p in IMAGES.iterdir() if p.suffix in {".png", ".dcm"}}
    assert all(row["patient_id"].startswith("SYN-") and row["study_id"].startswith("SYN-") for row in rows)
    assert {row["view"] for row in rows} == {"PA", "AP", "LATERAL"}
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 2_000_000
    assert sum(pixels(IMAGES / row["image"]).dtype == np.uint16 for row in rows if row["image"].endswith("png")) == 1
    kinds = {pydicom.dcmread(path).PhotometricInterpretation for path in IMAGES.glob("*.dcm")}
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}
