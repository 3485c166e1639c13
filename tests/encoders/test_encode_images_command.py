"""`encode-images` as a user meets it: what it writes, refuses and says, and that every option changes something."""

import json
import os
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from encoders.encode.store import Store
from tests.encoders.encode.bench import (
    ROOT,
    by_hand,
    command,
    encode,
    encoded,
    environment,
    read_failures,
    read_map,
    read_rows,
    read_vectors,
    run_process,
    write_dicom,
    write_film,
    write_films,
)
from tests.encoders.encode.fake import Fake, load_fake


@pytest.fixture
def films(tmp_path):
    write_films(tmp_path / "films", 3)
    return tmp_path / "films"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out"


def record(output):
    return json.loads((output / "run.json").read_text())


# What it writes


def test_each_film_has_its_vector_in_order(films, output):
    assert encode(films, output=output).exit_code == 0
    rows = read_rows(output)
    assert [row["image"] for row in rows] == ["000.png", "001.png", "002.png"]
    for row in rows:
        expected_D = by_hand(films / row["image"]).global_BD[0]
        np.testing.assert_allclose(row["global"], expected_D, rtol=1e-5, atol=1e-5)
    assert {(row["encoder"], row["pooling"], row["map_shard"], row["map_key"]) for row in rows} == {
        ("fake", "mean", None, None)
    }
    assert len({row["key"] for row in rows} | {row["pixels_sha256"] for row in rows}) == 6


def test_run_record_says_with_what_and_how_many(films, output):
    encode(films, "--max-failures", "1", "--dtype", "bfloat16", output=output)
    told = record(output)
    assert told["config"]["dtype"] == "bfloat16"
    assert told["counts"] == {"rows": 3, "failed": 0, "encoded": 3, "known": 0}
    assert told["encoder"]["origin"]["kind"] == "random twin"
    assert told["device"] == "cpu"
    assert told["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert (output / "run.json").stat().st_mode & 0o077 == 0, "features of patients are for this user only"


def test_random_weights_are_said_loudly(films, output):
    assert "its features mean nothing" in encode(films, output=output).stderr
    assert "its features mean nothing" in encode(films, output=output).stderr, "also when nothing is loaded"


def test_maps_of_the_default_stride(films, output):
    encode(films, "--maps", "default", "--maps-dtype", "float32", output=output)
    for row in read_rows(output):
        expected_CHW = by_hand(films / row["image"]).patches().map_BCHW[0]
        torch.testing.assert_close(read_map(output, row, "stride8"), expected_CHW)


def test_maps_of_several_strides_are_half_floats_unless_told(films, output):
    encode(films, "--maps", "4,8", output=output)
    row = read_rows(output)[1]
    expected = by_hand(films / row["image"])
    for stride in (4, 8):
        found_CHW = read_map(output, row, f"stride{stride}")
        assert found_CHW.dtype is torch.float16
        torch.testing.assert_close(found_CHW.float(), expected.patches(stride).map_BCHW[0], rtol=1e-3, atol=1e-2)


def test_maps_of_layers_with_the_last_norm(films, output):
    encode(films, "--maps", "layers", "--layers", "-1", "--norm", "final", "--maps-dtype", "float32", output=output)
    row = read_rows(output)[2]
    expected_CHW = by_hand(films / row["image"]).layers([1], norm="final")[0].map_BCHW[0]
    torch.testing.assert_close(read_map(output, row, "layer1"), expected_CHW)
    with safe_open(output / row["map_shard"], "pt") as shard:
        told = shard.metadata()
    assert json.loads(told["maps"])["layer1"] == {"layer": 1, "stride_px": 8, "norm": "final", "shape": [6, 4, 4]}
    assert told["encoder"] == "fake"
    assert told["preprocessing_sha256"] == load_fake("fake", weights="twin").recipe.sha256


def test_layers_without_a_norm_are_as_their_blocks_gave_them(films, output):
    encode(films, "--maps", "layers", "--layers", "0,1", "--maps-dtype", "bfloat16", output=output)
    row = read_rows(output)[0]
    for layer in (0, 1):
        expected_CHW = by_hand(films / row["image"]).layers([layer])[0].map_BCHW[0]
        assert torch.equal(read_map(output, row, f"layer{layer}"), expected_CHW.bfloat16())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype_is_that_of_the_arithmetic(films, output, dtype):
    encode(films, "--dtype", dtype, output=output)
    exact = torch.stack([by_hand(path).global_BD[0] for path in sorted(films.iterdir())])
    expected = torch.stack(
        [by_hand(path, dtype=getattr(torch, dtype)).global_BD[0] for path in sorted(films.iterdir())]
    ).float()
    found = torch.from_numpy(read_vectors(output))
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-1)  # a batch may be summed in another order
    assert not torch.equal(found, exact)
    assert torch.equal(found, found.to(getattr(torch, dtype)).float()), "no more digits than that dtype has"


def test_image_size_is_that_of_the_input(films, output):
    encode(films, "--image-size", "64", "--maps", "8", output=output)
    row = read_rows(output)[0]
    assert read_map(output, row, "stride8").shape == (6, 8, 8)
    np.testing.assert_allclose(
        row["global"], by_hand(films / "000.png", image_size_px=64).global_BD[0], rtol=1e-5, atol=1e-5
    )


def test_preprocessing_may_be_anothers(films, output, tmp_path):
    encode(films, output=output)
    encode(films, "--preprocessing", "siglip2", output=tmp_path / "other")
    assert not np.allclose(read_vectors(output), read_vectors(tmp_path / "other"))
    assert record(tmp_path / "other")["encoder"]["recipe"]["normalize"]["mean"] == [0.5, 0.5, 0.5]


def test_compiled_encoder_is_used_and_gives_close_features(films, output, tmp_path):
    from torch._dynamo.utils import counters

    encode(films, output=output)
    counters.clear()
    encode(films, "--compile", "--maps", "8", "--batch-size", "2", output=tmp_path / "compiled")
    assert counters["frames"]["ok"] > 0
    assert not Fake.batches, "the encoder's own Python ran although it was compiled"
    np.testing.assert_allclose(read_vectors(tmp_path / "compiled"), read_vectors(output), rtol=1e-4, atol=1e-4)
    counters.clear()
    encode(films, output=tmp_path / "not")
    assert counters["frames"]["ok"] == 0


def test_batch_size_is_how_many_films_go_at_once(films, output, tmp_path):
    encode(films, "--batch-size", "2", output=output)
    assert Fake.batches == [2, 1]
    encode(films, output=tmp_path / "large")
    assert Fake.batches == [3]
    np.testing.assert_allclose(read_vectors(output), read_vectors(tmp_path / "large"), rtol=1e-5, atol=1e-5)


def test_decoding_processes_change_nothing(tmp_path, output):
    films = tmp_path / "films"
    write_films(films, 20)
    (films / "019.png").write_bytes(b"no film")
    alone = encode(films, "--workers", "0", "--max-failures", "1", output=output)
    with mock.patch("torch.utils.data.DataLoader", wraps=torch.utils.data.DataLoader) as loader:
        several = encode(films, "--workers", "2", "--max-failures", "1", output=tmp_path / "several")
    assert loader.call_args.kwargs["num_workers"] == 2
    assert (alone.exit_code, several.exit_code) == (0, 0)
    assert read_rows(output) == read_rows(tmp_path / "several")
    assert read_failures(output) == read_failures(tmp_path / "several")


def test_parts_are_saved_as_often_as_told(films, output, tmp_path):
    encode(films, "--batch-size", "1", "--save-every-s", "1e-9", output=output)
    often = len(list((output / ".carina" / "parts").glob("*.json")))
    encode(films, "--batch-size", "1", output=tmp_path / "once")
    assert len(list((tmp_path / "once" / ".carina" / "parts").glob("*.json"))) == 1
    assert often >= 3
    assert read_rows(output) == read_rows(tmp_path / "once")


def test_plots_are_of_the_first_usable_films(films, output):
    (films / "000.png").write_bytes(b"no film")
    with mock.patch("encoders.plot.write_plots", return_value=[output / "plots" / "pca.png"]) as drawn:
        ran = encode(films, "--plot", "--plot-images", "1", "--max-failures", "1", output=output)
    folder, encoder, shown = drawn.call_args.args
    assert (folder, encoder.spec.name, [name for name, _ in shown]) == (output, "fake", ["001.png"])
    assert drawn.call_args.kwargs == {"layers": None}
    assert "pca.png" in ran.stderr


def test_plots_show_eight_films_and_the_layers_that_are_kept(tmp_path, output):
    write_films(tmp_path / "films", 9)
    with mock.patch("encoders.plot.write_plots", return_value=[]) as drawn:
        encode(tmp_path / "films", "--plot", "--maps", "layers", "--layers", "1", output=output)
    assert len(drawn.call_args.args[2]) == 8
    assert drawn.call_args.kwargs == {"layers": (1,)}


# Inputs


def test_folders_are_searched_and_what_is_no_film_is_named(films, output):
    write_dicom(films / "deep" / "1.2.840.9", 7, ViewPosition="AP")
    write_film(films / "deep" / "b.JPEG", 8)
    (films / "notes.txt").write_text("x")
    (films / "._000.png").write_bytes(b"x")
    (films / "Thumbs").write_bytes(b"x")
    ran = encode(films, output=output)
    assert ran.exit_code == 0
    rows = read_rows(output)
    assert [row["image"] for row in rows] == ["000.png", "001.png", "002.png", "deep/1.2.840.9", "deep/b.JPEG"]
    assert (rows[3]["view"], rows[3]["view_source"] is None, rows[0]["view"]) == ("AP", False, None)
    for told in ("1 x .txt", "notes.txt", "1 x hidden", "._000.png", "1 x no suffix", "Thumbs"):
        assert told in ran.stderr


def test_hidden_folders_and_outputs_of_other_runs_are_no_input(films, output):
    write_film(films / ".trash" / "old.png", 8)
    encode(films, output=films / "first")
    write_film(films / "first" / "plots" / "pca.png", 9)
    ran = encode(films, output=output)
    assert [row["image"] for row in read_rows(output)] == ["000.png", "001.png", "002.png"]
    assert "1 x hidden" in ran.stderr
    ran = encode(films, output=films)
    assert ran.exit_code == 2
    assert "is an output folder" in ran.stderr


def test_folders_that_cannot_be_read_are_named(films, output):
    (films / "locked").mkdir()
    walk = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return walk(path)

    with mock.patch("os.scandir", refuse):
        ran = encode(films, output=output)
    assert ran.exit_code == 0
    assert f"1 x folder that cannot be read ({films / 'locked'})" in ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are UTF-8, and some have no pipes")
def test_pipes_and_strange_names_stop_nothing(films, output):
    os.mkfifo(films / "pipe.png")
    os.mkfifo(films / "pipe")
    (films / "000.png").rename(films / os.fsdecode(b"bad\xff.png"))
    (films / "001.png").rename(films / "new\nline.png")
    (films / "\x1b[31mred.png").write_bytes(b"x")
    for _ in range(2):
        ran = encode(films, "--plot", "--max-failures", "1", output=output)
        assert ran.exit_code == 0, ran.stderr
    assert [row["image"] for row in read_rows(output)] == ["002.png", "bad\\udcff.png", "new\nline.png"]
    assert "is a pipe or device" in read_failures(output)[1]["message"]
    assert "\x1b" not in ran.stderr
    assert (output / "plots" / "similarity.html").exists()


def test_output_inside_the_input_is_no_input(films):
    encode(films, output=films / "out")
    write_film(films / "out" / "plots" / "pca.png", 9)
    assert encode(films, output=films / "out").exit_code == 0
    assert len(read_rows(films / "out")) == 3


@pytest.mark.usefixtures("films")
def test_a_table_gives_ids_and_views_and_its_rows_stay_rows(output, tmp_path):
    table = tmp_path / "studies.csv"
    table.write_text(
        "file,study_id,subject_id,view\nfilms/001.png,s1,7,PA\nfilms/000.png,s2,7,\nfilms/001.png,s3,8,LATERAL\n"
    )
    assert encode(table, output=output).exit_code == 0
    rows = read_rows(output)
    assert [(row["image"], row["study_id"], row["patient_id"], row["view"]) for row in rows] == [
        ("films/001.png", "s1", "7", "PA"),
        ("films/000.png", "s2", "7", None),
        ("films/001.png", "s3", "8", "LATERAL"),
    ]
    assert rows[0]["view_source"] == "table"
    assert rows[0]["global"] == rows[2]["global"]
    assert encoded() == 2, "a film that two rows name is encoded once"


def test_columns_and_root_may_be_named(films, output, tmp_path):
    table = tmp_path / "elsewhere" / "t.jsonl"
    table.parent.mkdir()
    row = {
        "file": "wrong.png",
        "pic": "002.png",
        "study_id": "x",
        "exam": "e",
        "patient_id": "y",
        "who": 3,
        "pos": "AP",
    }
    table.write_text(json.dumps(row) + "\n")
    named = ("--image-column", "pic", "--id-column", "exam", "--patient-column", "who", "--view-column", "pos")
    assert encode(table, "--root", films, *named, output=output).exit_code == 0
    [found] = read_rows(output)
    assert [found[name] for name in ("image", "study_id", "patient_id", "view")] == ["002.png", "e", "3", "AP"]
    assert encode(table, *named, "--max-failures", "1", output=output).exit_code == 0
    assert read_failures(output)[0]["image"] == "002.png", "without --root, paths are relative to the table"


@pytest.mark.usefixtures("films")
def test_encoding_of_a_table_may_be_named(output, tmp_path):
    table = tmp_path / "films" / "t.csv"
    table.write_bytes("image,patient_id\n000.png,Müller\n".encode("latin-1"))
    assert encode(table, output=output).exit_code == 2
    assert encode(table, "--encoding", "latin-1", output=output).exit_code == 0
    assert read_rows(output)[0]["patient_id"] == "Müller"


def test_files_and_folders_mix(films, output, tmp_path):
    alone = write_film(tmp_path / "alone.png", 50)
    assert encode(films / "001.png", films, alone, output=output).exit_code == 0
    assert [row["image"] for row in read_rows(output)] == [
        str(films / "001.png"), "000.png", "001.png", "002.png", str(alone),
    ]  # fmt: skip
    assert encoded() == 4


# Refusals


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.png"], "nowhere.png does not exist"),
        (["FILMS", "--maps", "16"], "no map of stride 16 px"),
        (["FILMS", "--maps", "some"], "maps = 'some'"),
        (["FILMS", "--maps", "layers"], "needs layers"),
        (["FILMS", "--maps", "layers", "--layers", "5"], "layers 0 to 1; asked for [5]"),
        (["FILMS", "--maps", "layers", "--layers", "0", "--norm", "final"], "cannot be normed"),
        (["FILMS", "--layers", "1"], "need maps"),
        (["FILMS", "--batch-size", "0"], "batch_size = 0"),
        (["FILMS", "--skip-guard", "guess"], "the guards are"),
        (["FILMS", "--preprocessing", "none"], "no preprocessing of 'none'"),
        (["EMPTY"], "empty; left out: 1 x .txt"),
        ([], "inputs not given"),
    ],
)
def test_wrong_use_is_one_message_and_no_work(films, output, tmp_path, arguments, told):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    places = {"FILMS": films, "EMPTY": tmp_path / "empty"}
    ran = encode(*(places.get(one, one) for one in arguments), output=output)
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("encode-images:") == 1
    assert not Fake.batches


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(films, output):
    ran = encode(films, "--device", "cuda", output=output)
    assert (ran.exit_code, "sees no GPU" in ran.stderr) == (2, True)
    assert encode(films, "--device", "cpu", output=output).exit_code == 0


def test_one_name_for_two_films_is_refused(tmp_path, output):
    write_film(tmp_path / "a" / "1.png", 0)
    write_film(tmp_path / "b" / "1.png", 1)
    ran = encode(tmp_path / "a", tmp_path / "b", output=output)
    assert (ran.exit_code, "would both be '1.png'" in ran.stderr) == (2, True)
    assert encode(tmp_path, output=output).exit_code == 0


def test_a_misspelt_setting_is_named_and_the_right_one_proposed(films, output, tmp_path):
    (tmp_path / "run.toml").write_text("batchsize = 3")
    ran = encode(films, "--config", tmp_path / "run.toml", output=output)
    assert ran.exit_code == 2
    assert "batchsize is no setting; did you mean batch_size?" in ran.stderr


def test_an_output_that_is_a_file_is_wrong_use(films, tmp_path):
    (tmp_path / "taken").write_text("x")
    ran = encode(films, output=tmp_path / "taken")
    assert ran.exit_code == 2
    assert "Not a directory" in ran.stderr


def test_what_does_not_fit_on_the_disk_is_not_begun(films, output):
    # a film: 6 x 4 bytes of vector in its part, twice in the table; 6 x 4 x 4 x 2 bytes of map
    need = 3 * (3 * 24 + 192)
    usage = mock.Mock(free=need - 1)
    with mock.patch("shutil.disk_usage", return_value=usage):
        ran = encode(films, "--maps", "8", output=output)
        assert ran.exit_code == 2
        assert f"needs {need} bytes" in ran.stderr
        assert not Fake.batches
        usage.free = need
        ran = encode(films, "--maps", "8", output=output)
    assert ran.exit_code == 0
    assert "3 x 192 bytes = 576 bytes to write" in ran.stderr
    assert "3 films of 3 rows; 0 done before, 3 to encode" in ran.stderr


def test_dry_run_says_the_size_and_writes_no_features(films, output):
    ran = encode(films, "--dry-run", output=output)
    assert (ran.exit_code, encoded()) == (0, 0)
    assert "3 to encode" in ran.stderr
    assert not (output / "vectors.parquet").exists()


def test_two_runs_do_not_mix_in_one_folder(films, output):
    from encoders.encode.store import locked

    with locked(output):
        ran = encode(films, output=output)
    assert (ran.exit_code, "another encode-images is writing" in ran.stderr) == (2, True)
    assert encode(films, output=output).exit_code == 0


# Failures


def test_failed_films_are_rows_apart_and_the_others_go_on(films, output, tmp_path):
    (films / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    table = tmp_path / "t.csv"
    table.write_text("image\nfilms/000.png\nfilms/broken.png\nfilms/missing.png\n")
    ran = encode(table, output=output)
    assert ran.exit_code == 3
    assert [row["image"] for row in read_rows(output)] == ["films/000.png"]
    failures = read_failures(output)
    assert [one["image"] for one in failures] == ["films/broken.png", "films/missing.png"]
    assert all(one["error"] == "ImageError" and one["message"] for one in failures)
    assert "failed: films/broken.png: ImageError" in ran.stderr
    assert "2 films without features" in ran.stderr
    assert "2 of 3 rows failed, more than --max-failures 0.01" in ran.stderr
    assert encode(table, "--max-failures", "0.7", output=output).exit_code == 0
    assert encoded() == 0, "what was encoded stays encoded"


def test_nothing_usable_gives_an_empty_table(tmp_path, output):
    (tmp_path / "a.png").write_bytes(b"")
    assert encode(tmp_path / "a.png", output=output).exit_code == 3
    assert read_rows(output) == []


def test_guards_refuse_and_can_be_skipped_by_name(tmp_path, output):
    from PIL import Image

    (tmp_path / "films").mkdir()
    flat = np.random.default_rng(0).integers(100, 103, (40, 40)).astype(np.uint8)
    Image.fromarray(flat).save(tmp_path / "films" / "a.png")
    refused = encode(tmp_path / "films", output=output)
    assert (refused.exit_code, "--skip-guard NAME lets it pass" in refused.stderr) == (3, True)
    [failure] = read_failures(output)
    assert (failure["error"], "[guard: constant]" in failure["message"]) == ("PreprocessingError", True)
    assert encode(tmp_path / "films", "--skip-guard", "constant", output=output).exit_code == 3
    skipped = ("--skip-guard", "constant", "--skip-guard", "range")
    assert encode(tmp_path / "films", *skipped, output=output).exit_code == 0
    assert encode(tmp_path / "films", output=output).exit_code == 3, "a guard once skipped is not skipped for ever"


def test_numbers_that_overflow_are_failures_not_features(films, output):
    state = load_fake("fake", weights="twin").state_dict()
    state["fine.weight"] = state["fine.weight"] * 1e4
    save_file(state, output.with_suffix(".safetensors"))
    heavy = output.with_suffix(".safetensors")
    ran = encode(films, "--dtype", "float16", output=output, weights=heavy)
    assert ran.exit_code == 3
    assert "its vector is not finite; try --dtype bfloat16 or float32" in ran.stderr
    ran = encode(films, "--maps", "8", output=output, weights=heavy)
    assert ran.exit_code == 3
    assert "its stride8 map is not finite; try another --maps-dtype" in ran.stderr
    assert read_rows(output) == []
    assert encode(films, "--maps", "8", "--maps-dtype", "bfloat16", output=output, weights=heavy).exit_code == 0


# Addresses: what is encoded again, and what is not


def test_the_same_command_again_encodes_nothing(films, output):
    encode(films, "--maps", "8", output=output)
    before = read_rows(output)
    ran = encode(films, "--maps", "8", output=output)
    assert (ran.exit_code, encoded()) == (0, 0)
    assert "3 done before, 0 to encode" in ran.stderr
    assert read_rows(output) == before


def test_moved_and_renamed_films_are_not_encoded_again(films, output):
    encode(films, output=output)
    before = read_vectors(output)
    (films / "deep").mkdir()
    (films / "000.png").rename(films / "deep" / "new.png")
    encode(films, output=output)
    assert encoded() == 0
    assert [row["image"] for row in read_rows(output)] == ["001.png", "002.png", "deep/new.png"]
    assert np.array_equal(read_vectors(output), before[[1, 2, 0]])


def test_the_same_pixels_in_another_file_are_not_encoded_again(films, output):
    from PIL import Image

    Image.open(films / "000.png").save(films / "003.png", compress_level=0)  # other bytes
    encode(films, output=output)
    assert encoded() == 3
    Image.open(films / "001.png").save(films / "004.png", compress_level=0)
    encode(films, output=output)
    assert encoded() == 0
    vectors = read_vectors(output)
    assert np.array_equal(vectors[3:], vectors[:2])


def test_a_changed_pixel_is_encoded_again(films, output):
    from PIL import Image

    encode(films, output=output)
    film = np.asarray(Image.open(films / "001.png")).copy()
    film[20, 20] ^= 1
    Image.fromarray(film).save(films / "001.png")
    encode(films, output=output)
    assert encoded() == 1


@pytest.mark.parametrize(
    "changed",
    [
        ["--dtype", "bfloat16"],
        ["--image-size", "64"],
        ["--preprocessing", "dinov2"],
        ["--maps", "8"],
    ],
)
def test_other_settings_encode_again_and_the_first_are_kept(films, output, changed):
    encode(films, output=output)
    before = read_rows(output)
    encode(films, *changed, output=output)
    assert encoded() == 3
    encode(films, output=output)
    assert encoded() == 0
    assert read_rows(output) == before


def test_changed_weights_in_the_same_file_encode_again(films, output):
    path = output.with_suffix(".safetensors")
    state = load_fake("fake", weights="twin").state_dict()
    save_file(state, path)
    encode(films, output=output, weights=path)
    before = read_vectors(output)
    encode(films, output=output, weights=path)
    assert encoded() == 0
    state["coarse.bias"] += 1
    save_file(state, path)
    encode(films, output=output, weights=path)
    assert encoded() == 3
    np.testing.assert_allclose(read_vectors(output), before + 1, rtol=1e-4, atol=1e-4)


def test_maps_of_another_kind_are_encoded_again_and_vectors_without_maps_are_not(films, output):
    encode(films, "--maps", "8", output=output)
    encode(films, output=output)
    assert encoded() == 0
    encode(films, "--maps", "8", "--maps-dtype", "float32", output=output)
    assert encoded() == 3
    assert read_map(output, read_rows(output)[0], "stride8").dtype is torch.float32
    encode(films, "--maps", "8", output=output)
    assert encoded() == 0
    assert read_map(output, read_rows(output)[0], "stride8").dtype is torch.float16


def test_a_run_with_nothing_to_do_imports_no_torch(films, output, tmp_path):
    encode(films, output=output)
    # without the fake: were an encoder asked for, there would be none of that name
    arguments = command(films, output=output)[3:]
    code = (
        "import sys; from encoders.cli import encode_images_main; sys.argv = ['encode-images', *sys.argv[1:]]\n"
        "try: encode_images_main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
    assert "its features mean nothing" in done.stderr


@pytest.mark.parametrize("name", ["00000.json", "00000.npy", "maps"])
def test_a_damaged_part_is_said_and_encoded_again(films, output, name):
    encode(films, "--maps", "8", output=output)
    before = read_rows(output)
    path = output / "maps" / "maps-00000.safetensors" if name == "maps" else output / ".carina" / "parts" / name
    path.write_bytes(path.read_bytes()[:-3])
    ran = encode(films, "--maps", "8", output=output)
    assert ran.exit_code == 0
    assert "cannot be used" in ran.stderr
    assert encoded() == 3
    assert read_rows(output) == before
    assert "cannot be used" not in encode(films, "--maps", "8", output=output).stderr


# Kills


def _start_slowly(films, output, log, save_every_s):
    slowly = ("--batch-size", "1", "--save-every-s", save_every_s, "--maps", "8", "--workers", "0")
    typed = command(films, *slowly, output=output)
    quietly = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(typed, cwd=ROOT, env=environment(FAKE_LOG=log, FAKE_DELAY_S=0.2), **quietly)
    deadline = time.monotonic() + 120
    while len(_batches(log)) < 6:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def _batches(log):
    return log.read_text().splitlines() if log.exists() else []


def test_a_killed_run_goes_on_and_encodes_nothing_twice(tmp_path, output):
    films = tmp_path / "films"
    write_films(films, 30)
    process = _start_slowly(films, output, tmp_path / "log", 0.0001)
    process.kill()
    process.wait()
    saved = len(Store(output).load().vectors)
    assert len(_batches(tmp_path / "log")) - 3 <= saved < 30
    assert encode(films, "--maps", "8", output=output).exit_code == 0
    assert encoded() == 30 - saved
    encode(films, "--maps", "8", output=tmp_path / "at_once")
    np.testing.assert_allclose(read_vectors(output), read_vectors(tmp_path / "at_once"), rtol=1e-4, atol=1e-4)
    for row in read_rows(output):
        assert read_map(output, row, "stride8").shape == (6, 4, 4)


def test_interrupted_it_keeps_what_was_done(tmp_path, output):
    films = tmp_path / "films"
    write_films(films, 30)
    process = _start_slowly(films, output, tmp_path / "log", 1000)
    assert not Store(output).load().vectors
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in stderr
    assert "Traceback" not in stderr
    saved = len(Store(output).load().vectors)
    assert len(_batches(tmp_path / "log")) - 2 <= saved < 30, "but for the batch on its way and the one interrupted"


# Settings


def test_a_settings_file_is_read_and_flags_win(films, output, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('maps = "layers"\nlayers = [0, 1]\ndtype = "bfloat16"\nmaps_dtype = "float32"\n')
    assert encode(films, "--config", config, "--dtype", "float32", output=output).exit_code == 0
    told = record(output)["config"]
    assert (told["layers"], told["dtype"], told["maps_dtype"]) == ([0, 1], "float32", "float32")
    config.write_text("batchsize = 4\n")
    ran = encode(films, "--config", config, output=output)
    assert (ran.exit_code, "batchsize" in ran.stderr) == (2, True)
    config.write_text("= 4\n")
    assert encode(films, "--config", config, output=output).exit_code == 2


def test_what_concerns_the_weights_reaches_the_registry(films, output):
    encode(films, "--accept-licence", "--revision", "a" * 40, output=output, encoder="some.toml")
    assert load_fake.given == {"name": "some.toml", "accept_licence": True, "revision": "a" * 40}
    encode(films, output=output)
    assert load_fake.given == {"name": "fake", "accept_licence": False, "revision": None}


# Several processes


def test_two_processes_share_the_films_and_give_what_one_gives(tmp_path, output):
    films = tmp_path / "films"
    write_films(films, 9)
    (films / "broken.png").write_bytes(b"x")
    arguments = ("--maps", "8", "--max-failures", "1", "--workers", "0", "--device", "cpu")
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(_free_port())]
    module = command(films, *arguments, output=output)[1:]
    ran = run_process([sys.executable, *launch, *module], FAKE_LOG=tmp_path / "log", HF_HOME=tmp_path)
    assert ran.exit_code == 0, ran.stderr
    assert sorted((tmp_path / "log").read_text().split()) == ["4", "5"]
    assert ran.stderr.count("to encode") == 1, "one of them speaks"
    assert record(output)["processes"] == 2
    assert record(output)["counts"] == {"rows": 9, "failed": 1, "encoded": 9, "known": 0}
    encode(films, *arguments, output=tmp_path / "alone")
    found, expected = read_rows(output), read_rows(tmp_path / "alone")
    assert [row["key"] for row in found] == [row["key"] for row in expected]
    np.testing.assert_allclose(read_vectors(output), read_vectors(tmp_path / "alone"), rtol=1e-5, atol=1e-5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(
            read_map(output, one, "stride8"), read_map(tmp_path / "alone", other, "stride8"), rtol=1e-3, atol=1e-2
        )
    assert {row["map_shard"] for row in found} == {f"maps/maps-0000{number}.safetensors" for number in (0, 1)}
    assert read_failures(output) == read_failures(tmp_path / "alone")
    assert encode(films, *arguments, output=output).exit_code == 0
    assert encoded() == 0


def _free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_help_comes_without_torch():
    code = (
        "import sys; from encoders.cli import encode_images_main; sys.argv = ['encode-images', '--help']\n"
        "try: encode_images_main()\n"
        "finally: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.stdout.decode().strip().endswith("False False")
