"""Two processes on this machine's CPU against one, on the same steps. Run as a script, it is one of the two."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here asks the hub

import pytest
import torch
import torch.distributed.fsdp
from torch import Tensor, nn

from llava.build import build
from llava.config import ComputeSettings, EncoderSettings, LanguageModelSettings, ProjectorSettings, StageSettings
from llava.training.adapters import add_lora
from llava.training.outline import outline_of, outlined
from llava.training.parallel import Parallel, units
from llava.training.parts import set_trainable
from llava.training.state import States
from llava.training.zero3 import import_deepspeed

STEPS = 3
ROWS = 3  # a step: two for rank 0 and one for rank 1, which adds a row of no loss
PLACEHOLDER_TOKENS = 16

LORA = {"rank": 4, "alpha": 8, "dropout": 0.0}
STAGES: dict[str, dict[str, Any]] = {
    "all": {"train": ["encoder", "projector", "language_model"]},
    "tied": {"train": ["projector", "language_model"]},
    "align": {"train": ["projector"]},
    "lora": {"train": ["projector", "language_model"], "lora": LORA},
}


@functools.cache
def built(folder: str) -> nn.Module:
    encoder = EncoderSettings(name="rad_dino", weights="tiny", image_size_px=56)
    return build(encoder, LanguageModelSettings(path=folder), ProjectorSettings(num_layers=2), "findings", seed=0).model


def model_of(folder: str, stage: str) -> nn.Module:
    """A tiny RAD-DINO and Llama; the head is the embeddings where the stage's name says so."""
    model: Any = copy.deepcopy(built(folder))
    if stage == "tied":
        model.lm_head.weight = model.model.language_model.embed_tokens.weight
        model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    if stage == "lora":
        torch.manual_seed(0)
        add_lora(model, StageSettings(name=stage, **STAGES[stage]).lora)
    return model


def row(model: Any, step: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens 1,T, pixels 1,3,56,56 and the supervised places of a study; rows differ in length."""
    chance = torch.Generator().manual_seed(100 * step + number)
    words = torch.randint(3, 250, (1, 6 + 5 * number), generator=chance)
    image = torch.full((1, PLACEHOLDER_TOKENS), model.config.image_token_id)
    tokens = torch.cat([image, words], 1)
    return tokens, torch.randn(1, 3, 56, 56, generator=chance), torch.arange(PLACEHOLDER_TOKENS + 2, tokens.shape[1])


@contextlib.contextmanager
def kept_beside_shards(model: nn.Module) -> Iterator[list[int]]:
    """At each call of `fully_shard`, how many whole weights there are that the model has as shards by then."""
    whole = [weakref.ref(parameter) for parameter in model.parameters()]
    counts: list[int] = []
    shard = torch.distributed.fsdp.fully_shard

    def counting(*args: Any, **kwargs: Any) -> Any:
        done = shard(*args, **kwargs)
        now = {id(parameter) for parameter in model.parameters()}
        counts.append(sum(found is not None and id(found) not in now for found in (one() for one in whole)))
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.distributed.fsdp, "fully_shard", counting)
        yield counts


def train(
    folder: str, stage: str, *, states: str | None = None, resume: bool = False, **compute: Any
) -> dict[str, Any]:
    """Weights, gradient norms and losses after some steps of this process, as the trainer takes them."""
    model: Any = model_of(folder, stage)
    settings = StageSettings(name=stage, **STAGES[stage])
    set_trainable(model, settings)
    parallel = Parallel(ComputeSettings(**{"precision": "float32", "device": "cpu", **compute}))
    if parallel.one_reads and not parallel.is_main:
        model = outlined(outline_of(model), settings)
        assert all(parameter.is_meta for parameter in model.parameters())
    optimizer: Any = torch.optim.AdamW(
        (parameter for parameter in model.parameters() if parameter.requires_grad), lr=1e-3, eps=1e-6, weight_decay=0.1
    )
    with kept_beside_shards(model) as kept_whole:
        wrapped, optimizer = parallel.prepare(model, optimizer)
    kept = None if states is None else States(Path(states), parallel)
    first = 0
    if kept is not None and resume:
        newest = kept.newest()
        assert newest is not None
        kept.load(newest, model, optimizer)
        first = newest.step
    norms, losses = [], []
    for step in range(first, STEPS):
        mine = list(range(ROWS))[parallel.rank :: parallel.world_size]
        [targets] = parallel.all_sum([float(sum(len(row(model, step, number)[2]) for number in mine))])
        [rows] = parallel.all_max([float(len(mine))])
        total = 0.0
        for place in range(int(rows)):
            tokens, pixels, supervised = row(model, step, mine[min(place, len(mine) - 1)])
            with parallel.autocast():
                logits = wrapped(
                    input_ids=tokens, pixel_values=pixels, use_cache=False, logits_to_keep=supervised - 1
                ).logits
                loss = nn.functional.cross_entropy(logits[0].float(), tokens[0, supervised], reduction="sum") / targets
            loss = loss * float(place < len(mine))
            parallel.backward(loss, last=place == int(rows) - 1)
            total += float(loss.detach())
        norms.append(parallel.clip(wrapped, 1.0))
        parallel.step(optimizer)
        losses += parallel.all_sum([total])
        if kept is not None and step == 0:
            kept.save(step + 1, model, optimizer)
    tokens, pixels, _ = row(model, 0, 0)
    with torch.no_grad(), parallel.autocast():  # as validation calls the model: itself, whatever it is wrapped in
        seen = model(input_ids=tokens, pixel_values=pixels, use_cache=False).logits.float()
    state = parallel.full_state(model)
    found = {"state": state, "norms": norms, "losses": losses, "kind": parallel.kind, "seen": seen}
    return found | {"kept_whole": sum(kept_whole)}


CASES: list[tuple[str, dict[str, Any]]] = [
    *[
        (stage, {"parallel": kind} | ({"states": f"states_{kind}"} if stage == "tied" else {}))
        for stage in STAGES
        for kind in ("ddp", "fsdp2")
    ],
    *[("align", {"parallel": kind, "precision": "bfloat16"}) for kind in ("ddp", "fsdp2")],
    ("all", {"parallel": "fsdp2", "precision": "bfloat16"}),
]
DEEPSPEED_CASES: list[tuple[str, dict[str, Any]]] = [
    ("all", {"parallel": "deepspeed"}),
    ("tied", {"parallel": "deepspeed", "states": "states_zero"}),
    ("tied", {"parallel": "deepspeed", "states": "states_zero", "resume": True}),
    ("lora", {"parallel": "deepspeed"}),
    ("align", {"parallel": "deepspeed", "precision": "bfloat16"}),
]


def run_twice(cases: list[tuple[str, dict[str, Any]]], language_model: Path, folder: Path) -> list[Any]:
    """What both processes found in every case, all of them in one pair of processes: starting them takes longest."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    wish = {"language_model": str(language_model), "folder": str(folder), "cases": cases}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    done = subprocess.run([*command, json.dumps(wish)], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    both = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return list(zip(*both, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def by_two(language_model: Path, folder: Path) -> list[Any]:
    return run_twice(CASES, language_model, folder)


@pytest.fixture(scope="module")
def by_deepspeed(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    return run_twice(DEEPSPEED_CASES, language_model, tmp_path_factory.mktemp("deepspeed"))


@pytest.fixture(scope="module")
def by_one(language_model: Path) -> Any:
    """What one process finds, in float32."""
    return functools.cache(lambda stage: train(str(language_model), stage))


def furthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    assert found.keys() == expected.keys()
    return max(float((found[name].float() - expected[name].float()).abs().max()) for name in expected)


@pytest.mark.parametrize("number", range(8), ids=[f"{stage}-{compute['parallel']}" for stage, compute in CASES[:8]])
def test_two_processes_take_the_steps_of_one(language_model, by_one, by_two, number):
    stage, compute = CASES[number]
    first, second = by_two[number]
    alone = by_one(stage)
    assert (first["kind"], alone["kind"]) == (compute["parallel"], "none")
    assert furthest(first["state"], alone["state"]) <= 1e-5
    assert second["state"] == {}
    assert first["norms"] == pytest.approx(alone["norms"], rel=1e-5)
    assert first["norms"] == second["norms"]
    assert torch.equal(first["seen"], second["seen"])
    assert (first["seen"] - alone["seen"]).abs().max() <= 1e-4  # of logits about 1, after three steps of Adam
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    assert furthest(alone["state"], model_of(str(language_model), stage).state_dict()) > 1e-3  # it did learn
    if compute["parallel"] == "fsdp2":
        assert first["kept_whole"] == second["kept_whole"] == 0  # beside its shards nobody has a whole weight


@pytest.mark.parametrize("number", range(8, 11), ids=["align-ddp", "align-fsdp2", "all-fsdp2"])
def test_bfloat16_computes_nearly_what_float32_does(by_one, by_two, number):
    stage, _ = CASES[number]
    first, _ = by_two[number]
    alone = by_one(stage)
    assert first["losses"] != alone["losses"]
    # bfloat16 has 8 bits: 2^-9 = 0.002 of each value, averaged over many
    assert first["losses"] == pytest.approx(alone["losses"], rel=2e-3)
    # before Adam, which divides small gradients by themselves, has made two ways of them
    assert first["norms"][0] == pytest.approx(alone["norms"][0], rel=0.1)


def test_bfloat16_keeps_what_learns_in_float32_and_gives_what_is_frozen_back_as_it_was(language_model, by_two):
    before = model_of(str(language_model), "align").state_dict()
    for number in (8, 9):
        state = by_two[number][0]["state"]
        assert {value.dtype for value in state.values()} == {torch.float32}
        for name, value in state.items():
            assert torch.equal(value, before[name]) == ("multi_modal_projector" not in name), name
    learnt = by_two[10][0]["state"]["lm_head.weight"]
    assert not torch.equal(learnt, learnt.bfloat16().float())


def test_checkpointed_activations_change_no_weight(language_model, by_one):
    without = train(str(language_model), "all", gradient_checkpointing=False)
    assert furthest(by_one("all")["state"], without["state"]) <= 1e-6


@pytest.mark.usefixtures("by_two")
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_a_state_of_two_processes_goes_on_in_one(language_model, by_one, folder, kind):
    resumed = train(str(language_model), "tied", states=str(folder / f"states_{kind}"), resume=True)
    assert len(resumed["losses"]) == STEPS - 1
    assert furthest(resumed["state"], by_one("tied")["state"]) <= 1e-5


@pytest.mark.parametrize("number", [0, 1, 3], ids=["all", "tied", "lora"])
def test_two_processes_of_deepspeed_take_the_steps_of_one(by_one, by_deepspeed, number):
    alone = by_one(DEEPSPEED_CASES[number][0])
    first, second = by_deepspeed[number]
    assert (first["kind"], second["state"]) == ("deepspeed", {})
    assert furthest(first["state"], alone["state"]) <= 1e-5
    assert (first["seen"] - alone["seen"]).abs().max() <= 1e-4
    assert first["norms"] == pytest.approx(alone["norms"], rel=1e-4)
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def test_deepspeed_goes_on_from_its_own_state(by_deepspeed):
    unbroken, resumed = by_deepspeed[1][0], by_deepspeed[2][0]
    assert len(resumed["losses"]) == STEPS - 1
    assert resumed["losses"] == unbroken["losses"][1:]
    assert furthest(resumed["state"], unbroken["state"]) == 0


def test_deepspeed_in_bfloat16_keeps_what_is_frozen_as_it_was(language_model, by_one, by_deepspeed):
    first, _ = by_deepspeed[4]
    before = model_of(str(language_model), "align").state_dict()
    for name, value in first["state"].items():
        assert torch.equal(value, before[name]) == ("multi_modal_projector" not in name), name
    assert first["losses"] != by_one("align")["losses"]
    assert first["losses"] == pytest.approx(by_one("align")["losses"], rel=2e-3)


def test_deepspeed_that_is_not_installed_is_named_before_anything_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(ValueError, match=r"needs deepspeed, which cannot be imported here.*pip install deepspeed"):
        import_deepspeed(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="sees no CUDA device"):
        Parallel(ComputeSettings(device="cuda"))


def test_a_tied_head_is_in_no_unit_of_its_own(language_model):
    apart, tied = model_of(str(language_model), "all"), model_of(str(language_model), "tied")
    # encoder, projector and two layers; apart also the embeddings, and the norm with the head
    assert (len(units(apart)), len(units(tied))) == (6, 4)


if __name__ == "__main__":
    wish = json.loads(sys.argv[1])
    if any(compute["parallel"] == "deepspeed" for _, compute in wish["cases"]):
        deepspeed = import_deepspeed(torch.device("cpu"))
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = (
            False  # a shortcut between processes: minutes to compile
        )
    found = []
    for stage, compute in wish["cases"]:
        if "states" in compute:
            compute["states"] = str(Path(wish["folder"]) / compute["states"])
        found.append(train(wish["language_model"], stage, **compute))
    torch.save(found, Path(wish["folder"]) / f"{os.environ['RANK']}.pt")
