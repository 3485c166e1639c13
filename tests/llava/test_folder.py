"""Checkpoints: whole or not there, and refused when anything in them is not what was trained."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from encoders.fingerprint import fingerprint
from encoders.registry import load_encoder
from llava.build import Built
from llava.checksums import write_checksums
from llava.folder import load_model, save_model
from llava.model_files import find_model, read_encoder_record, weights_hash
from studies.records import GenerationStudy

RECORD = {"settings": {"stages": [{"name": "align"}, {"name": "tune"}]}, "steps": 3}
TOWER = "model.vision_tower.encoder."


@pytest.fixture(scope="module")
def written() -> dict[str, Path]:
    return {}


@pytest.fixture
def folder(make: Any, written: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of one saved model."""
    if "model" not in written:
        written["model"] = tmp_path_factory.mktemp("written") / "model"
        built = make()
        save_model(built.model, built.processor, written["model"], record=RECORD)
    return Path(shutil.copytree(written["model"], tmp_path / "model"))


def logits(model: Any) -> Tensor:
    ids = torch.tensor([[1, 4, *[model.config.image_token_id] * 16, 20, 21, 22]])
    films = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found: Tensor = model(input_ids=ids, pixel_values=films).logits
    return found


def edited(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    read = json.loads(file.read_text())
    change(read)
    file.write_text(json.dumps(read))


def with_tensors(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_saved_model_is_loaded_to_the_same_bits_with_its_processor_and_record(make, folder):
    built: Built = make()
    loaded = load_model(folder)
    assert torch.equal(logits(loaded.model), logits(built.model))
    assert loaded.record == RECORD
    study = GenerationStudy(study_id="s", frontal="f.png", findings="Heart size is normal.")
    film = np.zeros((56, 56), np.uint8)
    ours, theirs = (one.processor.example(study, [film], with_target=True) for one in (loaded, built))
    assert np.array_equal(ours.input_ids_T, theirs.input_ids_T)
    assert not any(part.training for part in loaded.model.modules())
    assert loaded.model.generation_config.to_dict() == built.model.generation_config.to_dict()


def test_everything_is_one_hugging_face_checkpoint(folder):
    expected = {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    ours = {"processor_config.json", "prompt.json", "encoder.json", "run.json", "SHA256SUMS"}
    assert {file.name for file in folder.iterdir()} == expected | ours


def test_half_precision_is_the_same_weights_rounded(folder):
    full, half = load_model(folder), load_model(folder, dtype="bfloat16")
    for (name, wanted), given in zip(full.model.named_parameters(), half.model.parameters(), strict=True):
        assert torch.equal(given, wanted.bfloat16()), name


def test_the_encoder_is_recorded_as_it_is_and_as_it_began(make, tmp_path):
    built: Built = make()
    tower = built.model.model.vision_tower
    began = fingerprint(load_encoder("rad_dino", weights="tiny", image_size_px=56))
    save_model(built.model, built.processor, tmp_path / "untouched", record={})
    record = read_encoder_record(tmp_path / "untouched")
    assert record.fingerprint == began
    assert record.began_as == began.key == built.model.config.encoder_key
    with torch.no_grad():
        next(tower.parameters()).add_(0.5)
    save_model(built.model, built.processor, tmp_path / "trained", record={})
    record = read_encoder_record(tmp_path / "trained")
    assert record.began_as == began.key != record.fingerprint.key
    assert record.fingerprint.weights_sha256 == fingerprint(tower.encoder).weights_sha256 != began.weights_sha256
    assert record.fingerprint.origin == began.origin
    assert torch.equal(logits(load_model(tmp_path / "trained").model), logits(built.model))


def test_a_state_from_elsewhere_is_saved_in_place_of_the_models_own(make, tmp_path):
    # as the first of several processes has it, whose own parameters are in pieces
    built: Built = make()
    state = {name: tensor * 1.5 for name, tensor in built.model.state_dict().items()}
    save_model(built.model, built.processor, tmp_path / "model", record={}, state_dict=state)
    for name, tensor in load_model(tmp_path / "model").model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_a_model_in_half_precision_is_checked_by_what_was_written(make, tmp_path):
    built: Built = make()
    built.model.bfloat16()
    save_model(built.model, built.processor, tmp_path / "model", record={})
    loaded = load_model(tmp_path / "model", dtype="bfloat16")
    for (name, wanted), given in zip(built.model.named_parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(given, wanted), name


def test_layers_and_a_norm_are_part_of_what_is_checked(make, tmp_path):
    built: Built = make(layers=(-2, -1), norm="final")
    save_model(built.model, built.processor, tmp_path / "model", record={})
    assert torch.equal(logits(load_model(tmp_path / "model").model), logits(built.model))
    assert read_encoder_record(tmp_path / "model").token_width == 64  # 2 x 32
    edited(tmp_path / "model" / "config.json", lambda read: read["vision_config"].update(norm=None))
    with pytest.raises(ValueError, match="says norm final, and the encoder in this folder has None"):
        load_model(tmp_path / "model")


# -- swapped and damaged


def test_another_encoders_weights_are_refused_with_file_expected_and_found(folder):
    before = read_encoder_record(folder).fingerprint.weights_sha256

    def swap(state: dict[str, Tensor]) -> None:
        for name in state:
            if name.startswith(TOWER):
                state[name] = state[name] * 1.0001

    with_tensors(folder, swap)
    with pytest.raises(ValueError, match=rf"encoder\.json says weights_sha256 {before}, and .* in this folder has \w+"):
        load_model(folder)


def test_a_weight_of_the_encoder_that_is_not_finite_is_refused(folder):
    with_tensors(folder, lambda state: state[TOWER + "trunk.norm.weight"].fill_(float("nan")))
    with pytest.raises(ValueError, match=r"not finite in 1 tensors: trunk\.norm\.weight"):
        load_model(folder)


def test_other_preprocessing_is_refused_wherever_it_was_changed(folder):
    original = (folder / "config.json").read_text()
    edited(folder / "config.json", lambda read: read["vision_config"]["recipe"]["normalize"].update(mean=[0.5] * 3))
    with pytest.raises(ValueError, match=r"encoder\.json says preprocessing_sha256 \w+, and"):
        load_model(folder)
    (folder / "config.json").write_text(original)
    edited(folder / "processor_config.json", lambda read: read["recipe"]["normalize"].update(mean=[0.5] * 3))
    with pytest.raises(ValueError, match=r"config\.json says preprocessing_sha256 \w+, and the processor's files"):
        load_model(folder)


def test_other_features_of_the_same_weights_are_refused(folder):
    # what another version of the encoder's code would do, seen from the other side
    edited(folder / "encoder.json", lambda read: read["tokens"]["first"].__setitem__(0, 0.5))
    with pytest.raises(ValueError, match=r"tokens of the made film begin 0\.5, .* from the same weights"):
        load_model(folder)


def test_features_that_other_machines_round_differently_are_taken(folder):
    edited(folder / "encoder.json", lambda read: read["tokens"].update(mean=read["tokens"]["mean"] + 1e-5))
    write_checksums(folder)
    load_model(folder)


def test_another_name_is_refused(folder):
    edited(folder / "config.json", lambda read: read["vision_config"].update(encoder="dinov2"))
    with pytest.raises(ValueError, match="says encoder rad_dino, and the encoder in this folder has dinov2"):
        load_model(folder)


def test_a_truncated_shard_is_refused_with_its_name(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-500])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or not complete"):
        load_model(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="its weights are missing"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.language_model.layers.1.mlp.up_proj.weight", "1 missing: model.language_model.layers.1.mlp"),
        ("model.multi_modal_projector.layers.2.bias", "1 missing: model.multi_modal_projector.layers.2.bias"),
        ("lm_head.weight", "1 missing: lm_head.weight"),
        (TOWER + "trunk.norm.bias", "does not fit: 1 missing: trunk.norm.bias"),
    ],
)
def test_a_tensor_that_is_missing_is_refused_and_not_drawn_at_random(name, message, folder):
    with_tensors(folder, lambda state: state.pop(name))
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.language_model.layers.2.mlp.up_proj.weight", r"1 unexpected: model\.language_model\.layers\.2"),
        (TOWER + "trunk.blocks.12.norm1.weight", r"does not fit: 1 unexpected: trunk\.blocks\.12"),
    ],
)
def test_a_tensor_that_is_left_over_is_refused(name, message, folder):
    with_tensors(folder, lambda state: state.update({name: torch.zeros(3)}))
    with pytest.raises(ValueError, match=message):
        load_model(folder)


def test_a_tensor_of_another_shape_is_refused(folder):
    name = "model.multi_modal_projector.layers.2.bias"
    with_tensors(folder, lambda state: state.update({name: torch.zeros(3)}))
    with pytest.raises(ValueError, match=r"1 mismatched: model\.multi_modal_projector\.layers\.2\.bias"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "encoder.json", "run.json", "processor_config.json", "prompt.json"])
def test_a_file_that_is_missing_or_damaged_is_named(name, folder):
    whole = (folder / name).read_text()
    (folder / name).write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{name}.* is damaged"):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
def test_a_damaged_file_of_transformers_is_a_valueerror_too(name, folder):
    whole = (folder / name).read_text()
    (folder / name).write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{name} is damaged: .*; copy it again"):
        load_model(folder)


def test_a_tokenizer_that_is_json_and_no_tokenizer_is_a_valueerror(folder):
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="its tokenizer is damaged"):
        load_model(folder)


def test_a_shard_that_is_missing_among_several_is_refused_and_their_order_is_no_matter(make, tmp_path, monkeypatch):
    monkeypatch.setattr("llava.folder._SHARD", "200KB")
    built: Built = make()
    save_model(built.model, built.processor, tmp_path / "model", record={})
    shards = sorted((tmp_path / "model").glob("*.safetensors"))
    assert len(shards) > 3
    assert torch.equal(logits(load_model(tmp_path / "model").model), logits(built.model))
    for shard in (shards[0], shards[-1]):
        kept = shard.read_bytes()
        shard.unlink()
        with pytest.raises(ValueError, match=r"missing|cannot be loaded"):
            load_model(tmp_path / "model")
        shard.write_bytes(kept)
    (tmp_path / "model" / "model.safetensors.index.json").unlink()
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(tmp_path / "model")


def test_a_prompt_that_was_changed_since_is_refused(folder):
    edited(folder / "prompt.json", lambda read: read.update(sha256="0" * 64))
    with pytest.raises(ValueError, match=r"trained with prompt findings\.v1 of sha256 000000000000"):
        load_model(folder)


def test_a_checkpoint_of_another_kind_is_refused(language_model):
    with pytest.raises(ValueError, match=r"config\.json is of a 'llama', not a 'cxr_llava'"):
        load_model(language_model)


def test_an_encoder_record_with_a_key_that_there_is_not_is_damaged(folder):
    edited(folder / "encoder.json", lambda read: read.update(more=1))
    with pytest.raises(ValueError, match=r"encoder\.json is damaged"):
        load_model(folder)


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_one_flipped_bit_of_the_language_model_is_found(folder):
    before = load_model(folder).model.lm_head.weight.clone()
    flip(folder / "model.safetensors", 8 + int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little"))
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged, or was edited: its SHA-256 is \w+\.\.\."):
        load_model(folder)
    write_checksums(folder)  # so nothing else would have found it
    assert (load_model(folder).model.lm_head.weight != before).sum() == 1


def test_an_edit_that_everything_else_takes_is_found(folder):
    edited(folder / "generation_config.json", lambda read: read.update(do_sample=True))
    with pytest.raises(ValueError, match=r"generation_config\.json is damaged, or was edited"):
        load_model(folder)


# -- writing


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write more to a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100_000, 10_000, 1_000, 0])
def test_a_full_disk_is_an_oserror_and_leaves_nothing_and_what_was_there(size, make, folder):
    # 100,000 bytes: in the middle of the weights; the others: of smaller files, whichever comes first
    built: Built = make(seed=9)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with files_of_at_most(size), pytest.raises(OSError):  # noqa: PT011  # EFBIG here, ENOSPC on a disk
        save_model(built.model, built.processor, folder, record=RECORD)
    assert [one.name for one in folder.parent.iterdir()] == ["model"]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    with files_of_at_most(size), pytest.raises(OSError):  # noqa: PT011
        save_model(built.model, built.processor, folder.parent / "fresh", record=RECORD)
    assert [one.name for one in folder.parent.iterdir()] == ["model"]


def test_what_was_there_comes_back_when_the_last_step_fails(make, folder, monkeypatch):
    rename = Path.rename

    def failing(source: Path, target: Path) -> Path:
        if ".new." in source.name:
            raise OSError("no")
        return rename(source, target)

    before = weights_hash(folder)
    monkeypatch.setattr(Path, "rename", failing)
    built: Built = make(seed=9)
    with pytest.raises(OSError, match="no"):
        save_model(built.model, built.processor, folder, record=RECORD)
    assert [one.name for one in folder.parent.iterdir()] == ["model"]
    assert weights_hash(folder) == before


def test_saving_again_replaces_all_of_a_folder(make, folder):
    (folder / "stale.txt").write_text("of before")
    built: Built = make(seed=9)
    save_model(built.model, built.processor, folder, record={"steps": 4})
    assert not (folder / "stale.txt").exists()
    assert [one.name for one in folder.parent.iterdir()] == ["model"]
    assert torch.equal(logits(load_model(folder).model), logits(built.model))


def test_states_that_could_not_be_loaded_again_are_not_written(make, tmp_path):
    built: Built = make()
    state = built.model.state_dict()
    with_adapter = {**state, "model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.zeros(2, 2)}
    short = {name: tensor for name, tensor in state.items() if not name.startswith("lm_head")}
    packed = {**state, "lm_head.weight": torch.zeros(8, 1, dtype=torch.uint8)}
    for wrong, message in (
        (with_adapter, r"1 unexpected: .*lora_A"),
        (short, r"1 missing: lm_head"),
        (packed, r"1 of another shape: lm_head"),
    ):
        with pytest.raises(ValueError, match=message):
            save_model(built.model, built.processor, tmp_path / "model", record={}, state_dict=wrong)
    assert list(tmp_path.iterdir()) == []


def test_saving_draws_nothing_and_changes_nothing_of_the_model(make, tmp_path):
    built: Built = make()
    built.model.train()
    built.model.set_attn_implementation("eager")
    modes = [part.training for part in built.model.modules()]
    random, state = torch.get_rng_state(), {name: one.clone() for name, one in built.model.state_dict().items()}
    save_model(built.model, built.processor, tmp_path / "model", record={})
    assert torch.equal(torch.get_rng_state(), random)
    assert [part.training for part in built.model.modules()] == modes
    assert built.model.model.language_model.config._attn_implementation == "eager"
    for name, tensor in built.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


# -- finding


def test_a_model_is_found_by_itself_and_in_a_finished_run_by_its_last_stage(folder, tmp_path):
    assert find_model(folder) == folder
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ValueError, match=r"no model at .*run: it has no encoder\.json; give"):
        find_model(run)
    (run / "run.json").write_text(json.dumps(RECORD))
    with pytest.raises(ValueError, match=r"no stage of its run \(align, tune\) is done yet"):
        find_model(run)
    shutil.copytree(folder, run / "tune" / "model")
    shutil.copytree(folder, run / "align" / "model")  # the later copy is not the later stage
    assert find_model(run) == run / "tune" / "model"
    shutil.rmtree(run / "tune")
    with pytest.raises(ValueError, match=r"run is not finished: stage tune is not done; .* align give .*align/model"):
        find_model(run)
    (run / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json is not of a run of train-llava"):
        find_model(run)


def test_the_hash_is_of_the_weights_and_of_nothing_else(folder):
    before = weights_hash(folder)
    (folder / "run.json").write_text("{}")
    write_checksums(folder)
    assert weights_hash(folder) == before
    with_tensors(folder, lambda state: state["lm_head.weight"][0].add_(1e-3))
    write_checksums(folder)
    assert weights_hash(folder) != before
    (folder / "model.safetensors").unlink()
    write_checksums(folder)
    with pytest.raises(ValueError, match=r"has no \*\.safetensors"):
        weights_hash(folder)
