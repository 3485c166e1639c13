"""Checkpoint files of every kind, and of no kind."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from encoders.checkpoint import convert, file_sha256, find_checkpoint, read_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([7])}


def assert_weights(read: dict[str, torch.Tensor]) -> None:
    assert read.keys() == WEIGHTS.keys()
    assert all(torch.equal(read[key], tensor) and read[key].dtype == tensor.dtype for key, tensor in WEIGHTS.items())


def save_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


class RunsWhenUnpickled:
    """What an attacker would put in a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt", "x.bin", "x"])
def test_safetensors_are_known_by_content_whatever_the_name(tmp_path, name):
    save_file(WEIGHTS, tmp_path / name)
    assert_weights(read_checkpoint(tmp_path / name).tensors)


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_files_of_torch_save_are_read(tmp_path, save):
    save(WEIGHTS, tmp_path / "x.pth.tar")
    assert_weights(read_checkpoint(tmp_path / "x.pth.tar").tensors)


def test_parameters_become_plain_tensors(tmp_path):
    torch.save({"a": nn.Parameter(torch.ones(2))}, tmp_path / "x.pt")
    assert not read_checkpoint(tmp_path / "x.pt").tensors["a"].requires_grad


@pytest.mark.parametrize(
    ("content", "inside"),
    [
        (WEIGHTS, ""),
        ({"state_dict": WEIGHTS, "epoch": 3}, "state_dict"),
        ({"model": {"state_dict": WEIGHTS}, "optimizer": {"lr": 0.1}}, "model.state_dict"),
        ({"teacher": WEIGHTS, "state_dict": {"a.weight": torch.zeros(1)}, "epoch": 50}, "teacher"),
        ({"student": {"b": torch.zeros(1)}, "teacher": WEIGHTS}, "teacher"),
    ],
)
def test_known_wrappers_are_opened_and_named(tmp_path, content, inside):
    torch.save(content, tmp_path / "x.pt")
    read = read_checkpoint(tmp_path / "x.pt")
    assert_weights(read.tensors)
    assert read.inside == inside


def test_two_sets_of_weights_are_not_chosen_from_but_convert_takes_the_named_one(tmp_path):
    torch.save({"state_dict": WEIGHTS, "model": {"b": torch.zeros(1)}}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"several sets of weights \(state_dict, model\).*--inside state_dict"):
        read_checkpoint(tmp_path / "x.pt")
    convert(tmp_path / "x.pt", tmp_path / "y.safetensors", trust_pickle=False, inside="state_dict")
    assert_weights(read_checkpoint(tmp_path / "y.safetensors").tensors)


def test_naming_what_is_not_inside_lists_what_is(tmp_path):
    torch.save({"state_dict": WEIGHTS}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="no dictionary 'ema'; it has state_dict"):
        convert(tmp_path / "x.pt", tmp_path / "y.safetensors", trust_pickle=False, inside="ema")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.ones(1), "epoch": 3}, r"1 of its 2 entries are something else \(epoch\)"),
        ({"backbone": WEIGHTS}, r"something else \(backbone\), and none is one of teacher, state_dict"),
        ([torch.ones(1)], "holds list, not a dictionary of tensors"),
        ({"state_dict": {}}, "is no dictionary of tensors"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_pickled_objects_are_not_run_and_the_message_says_how_to_convert(tmp_path, save):
    mark = tmp_path / "ran"
    save({"state_dict": WEIGHTS, "args": RunsWhenUnpickled(mark)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"python -m encoders convert .*x\.pt NEW\.safetensors --trust-pickle"):
        read_checkpoint(tmp_path / "x.pt")
    with pytest.raises(ValueError, match="--trust-pickle"):
        convert(tmp_path / "x.pt", tmp_path / "y.safetensors", trust_pickle=False)
    assert not mark.exists()
    assert not (tmp_path / "y.safetensors").exists()


def test_converting_a_trusted_pickle_gives_safetensors_that_name_their_source(tmp_path):
    old, new = tmp_path / "x.pth.tar", tmp_path / "y.safetensors"
    torch.save({"teacher": WEIGHTS, "args": argparse.Namespace(lr=0.1)}, old)
    convert(old, new, trust_pickle=True)
    assert_weights(read_checkpoint(new).tensors)
    with safe_open(new, "pt") as file:
        assert file.metadata() == {
            "source_name": "x.pth.tar",
            "source_sha256": hashlib.sha256(old.read_bytes()).hexdigest(),
            "source_inside": "teacher",
        }
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_whole_pickled_module_is_converted_by_its_state(tmp_path):
    module = nn.Linear(2, 3)
    torch.save(module, tmp_path / "x.pt")
    convert(tmp_path / "x.pt", tmp_path / "y.safetensors", trust_pickle=True)
    assert torch.equal(read_checkpoint(tmp_path / "y.safetensors").tensors["weight"], module.weight)


def test_tensors_that_share_memory_or_are_views_are_converted_whole(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    content = {"whole": whole, "again": whole, "row": whole[1], "turned": whole.T}
    torch.save(content, tmp_path / "x.pt")
    convert(tmp_path / "x.pt", tmp_path / "y.safetensors", trust_pickle=False)
    read = read_checkpoint(tmp_path / "y.safetensors").tensors
    assert all(torch.equal(read[key], tensor) for key, tensor in content.items())


@pytest.mark.parametrize("name", ["exists.safetensors", "new.pt"])
def test_convert_writes_only_new_safetensors_files(tmp_path, name):
    torch.save(WEIGHTS, tmp_path / "x.pt")
    (tmp_path / "exists.safetensors").write_bytes(b"kept")
    with pytest.raises(ValueError, match=r"must be a new file that ends in \.safetensors"):
        convert(tmp_path / "x.pt", tmp_path / name, trust_pickle=False)
    assert (tmp_path / "exists.safetensors").read_bytes() == b"kept"


@pytest.mark.parametrize("save", [torch.save, save_legacy, save_file])
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_files_cut_short_are_said_to_be(tmp_path, save, share):
    path = tmp_path / "x.bin"
    save({"a": torch.ones(30_000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"x\.bin \([0-9,]+ bytes\) is damaged or cut short; download it again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (b"\x1f\x8b\x08\x00 something gzipped", "neither safetensors nor a file of torch.save"),
        (b'{"error": "not found"}', "neither safetensors nor a file of torch.save"),
        (b"\x80\x02}q\x00.", "download it again"),
        (b"PK\x03\x04 no zip at all", "damaged or cut short"),
    ],
)
def test_files_that_are_no_checkpoint_are_named_for_what_they_are(tmp_path, content, message):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / "x.pt")


def write_shards(folder: Path) -> Path:
    folder.mkdir()
    save_file({"a.weight": WEIGHTS["a.weight"]}, folder / "model-1.safetensors")
    save_file({"b": WEIGHTS["b"]}, folder / "model-2.safetensors")
    index = folder / "model.safetensors.index.json"
    weight_map = {"a.weight": "model-1.safetensors", "b": "model-2.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_shards_are_read_by_folder_or_index_and_hash_by_their_content(tmp_path):
    index = write_shards(tmp_path / "m")
    assert_weights(read_checkpoint(tmp_path / "m").tensors)
    assert_weights(read_checkpoint(index).tensors)
    lines = ""
    for name in ("model-1.safetensors", "model-2.safetensors"):
        lines += f"{hashlib.sha256((tmp_path / 'm' / name).read_bytes()).hexdigest()}  {name}\n"
    assert file_sha256(index) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_missing_shard_and_a_shard_unlike_its_index_are_refused(tmp_path):
    index = write_shards(tmp_path / "m")
    save_file({"b": WEIGHTS["b"], "c": torch.ones(1)}, tmp_path / "m" / "model-2.safetensors")
    with pytest.raises(ValueError, match=r"model-2\.safetensors and its index differ in 1: c"):
        read_checkpoint(index)
    (tmp_path / "m" / "model-2.safetensors").unlink()
    with pytest.raises(ValueError, match=r"1 of the 2 shards .* are missing: model-2\.safetensors"):
        read_checkpoint(index)


@pytest.mark.parametrize("content", ['{"weight_map": {"a": "../../secret"}}', "{}", "no json"])
def test_an_index_that_is_none_or_leads_elsewhere_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ValueError, match=r"outside its folder|is no index"):
        read_checkpoint(tmp_path)


def test_a_folder_gives_its_one_checkpoint_or_the_preferred_one_or_an_error(tmp_path):
    with pytest.raises(ValueError, match="has no checkpoint; known suffixes"):
        find_checkpoint(tmp_path)
    save_file(WEIGHTS, tmp_path / "one.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert find_checkpoint(tmp_path).name == "one.safetensors"
    save_file(WEIGHTS, tmp_path / "two.bin")
    assert find_checkpoint(tmp_path, "two.bin").name == "two.bin"
    with pytest.raises(ValueError, match=r"2 checkpoints \(one\.safetensors, two\.bin\): name one"):
        find_checkpoint(tmp_path, "three.bin")
    with pytest.raises(ValueError, match="no checkpoint at"):
        find_checkpoint(tmp_path / "absent")
