"""One set of weights under two configurations, with adapters merged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llava.build import Built
from llava.checksums import checked
from llava.config import LoraSettings
from llava.folder import load_model, save_model
from llava.generate.export import export
from llava.generate.loading import load_merged, require_merged, weights_key
from llava.generate.settings import Place
from llava.training.adapters import FOLDER, add_lora, save_adapter

CPU = Place("cpu", "float32")


@pytest.fixture(scope="module")
def adapted(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """A checkpoint with adapters beside its weights, and the logits of the two together."""
    folder = tmp_path_factory.mktemp("adapted") / "model"
    shutil.copytree(model_folder, folder)
    model = load_model(folder).model
    add_lora(model, LoraSettings(rank=4, alpha=8, dropout=0.0, targets=("q_proj", "down_proj")))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    save_adapter(model, folder / FOLDER)
    return folder, logits(model.eval())


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=torch.arange(10, 40)[None]).logits
    return found


def test_weights_are_there_once_and_both_readers_have_all(model_folder, tmp_path):
    told = export(model_folder, tmp_path / "out")
    assert told == tmp_path / "out" / "vllm"
    [shard], [link] = (sorted(folder.glob("*.safetensors")) for folder in (tmp_path / "out", told))
    assert shard.samefile(link)
    assert shard.samefile(next(model_folder.glob("*.safetensors")))  # a hard link: nothing was copied
    assert torch.equal(logits(load_model(tmp_path / "out").model), logits(load_model(model_folder).model))


def test_the_layout_can_be_moved_as_a_whole(model_folder, tmp_path):
    export(model_folder, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    [link] = (tmp_path / "elsewhere" / "vllm").glob("*.safetensors")
    assert load_file(link).keys() == load_file(next(model_folder.glob("*.safetensors"))).keys()


def test_the_second_configuration_is_a_llava_of_this_language_model(model_folder, built: Built, tmp_path):
    config = json.loads((export(model_folder, tmp_path / "out") / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert config["image_token_index"] == built.processor.image_token_id
    assert config["text_config"]["hidden_size"] == built.model.config.get_text_config().hidden_size
    vision = config["vision_config"]
    assert (vision["image_size"] // vision["patch_size"]) ** 2 >= built.processor.num_image_tokens


@pytest.mark.parametrize("adapters", [False, True])
def test_each_folder_has_checksums_of_its_own(model_folder, adapted, adapters, tmp_path):
    vllm = export(adapted[0] if adapters else model_folder, tmp_path / "out")
    for folder in (tmp_path / "out", vllm):
        assert {*checked(folder), "SHA256SUMS"} == {file.name for file in folder.iterdir() if file.is_file()}


def test_what_is_edited_in_an_export_leaves_the_trained_model_as_it_was(model_folder, tmp_path):
    export(model_folder, tmp_path / "out")
    for name in ("generation_config.json", "SHA256SUMS"):
        (tmp_path / "out" / name).write_text("{}")
    checked(model_folder)


def test_huggingface_alone_has_no_second_configuration(model_folder, tmp_path):
    assert export(model_folder, tmp_path / "out", layout="huggingface") == tmp_path / "out"
    assert not (tmp_path / "out" / "vllm").exists()


def test_adapters_are_merged(adapted, tmp_path):
    folder, expected = adapted
    export(folder, tmp_path / "out")
    model, _, record = load_model(tmp_path / "out")
    assert not (tmp_path / "out" / FOLDER).exists()
    torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)
    assert (logits(load_model(folder).model) - expected).abs().max() > 0.1  # they did something
    assert list(record["merged_adapter_sha256"]) == ["adapter_model.safetensors"]


def test_generation_has_the_adapters_that_lie_beside_the_weights(adapted):
    folder, expected = adapted
    torch.testing.assert_close(logits(load_merged(folder, CPU).model), expected, rtol=1e-4, atol=1e-4)


def test_a_merged_model_in_bfloat16_keeps_its_rotary_frequencies(adapted, model_folder):
    folder, _ = adapted
    ours = load_merged(folder, Place("cpu", "bfloat16")).model
    theirs = load_model(model_folder, dtype="bfloat16").model
    assert {name: one.dtype for name, one in ours.named_parameters()} == {
        name: one.dtype for name, one in theirs.named_parameters()
    }
    for (name, mine), (_, other) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        if "rotary" in name:
            assert torch.equal(mine, other)


def test_adapters_make_it_another_model_and_vllm_is_told_to_have_them_merged(adapted, model_folder):
    assert weights_key(adapted[0]) != weights_key(model_folder)
    with pytest.raises(ValueError, match=r"has LoRA adapters beside its weights.*python -m llava export .+ -o MERGED"):
        require_merged(adapted[0])
    require_merged(model_folder)


def test_an_output_that_is_there_is_left_alone(model_folder, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="is there already"):
        export(model_folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failed_export_leaves_nothing(built: Built, tmp_path):
    save_model(built.model, built.processor, tmp_path / "model", record={})
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises((ValueError, OSError)):
        export(tmp_path / "model", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_damaged_weights_are_not_passed_on(built: Built, tmp_path):
    save_model(built.model, built.processor, tmp_path / "model", record={})
    weights = tmp_path / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged, or was edited"):
        export(tmp_path / "model", tmp_path / "out")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged, or was edited"):
        weights_key(tmp_path / "model")  # which generate-reports asks for first
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
