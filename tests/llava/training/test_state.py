"""States of a small model. Run as a script it is one of two processes that share it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from llava.config import ComputeSettings
from llava.training.parallel import Parallel
from llava.training.state import StateError, States


class Model(nn.Module):
    """A frozen layer, two that learn, one of which no gradient reaches, a tied head and a buffer."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, width).requires_grad_(False)
        self.layer = nn.Linear(width, width)
        self.unused = nn.Linear(width, 3)
        self.table = nn.Embedding(5, width)
        self.head = nn.Linear(width, 5, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, values_BD: Tensor) -> Tensor:
        self.seen += 1
        logits: Tensor = self.head(self.layer(self.frozen(values_BD)) + self.table.weight[1])
        return logits


def fresh(seed: int = 0, width: int = 8) -> tuple[Model, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = Model(width)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    return model, torch.optim.AdamW(learning, lr=0.01, weight_decay=0.1)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        values_BD = torch.randn(4, 6, generator=torch.Generator().manual_seed(step))
        model(values_BD).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def states(folder: Path) -> States:
    return States(folder / "states", Parallel(ComputeSettings(device="cpu")))


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "states").iterdir())


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_going_on_from_a_state_is_going_on(tmp_path):
    model, optimizer = fresh()
    steps(model, optimizer, 0, 7)
    unbroken = weights(model)
    model, optimizer = fresh()
    steps(model, optimizer, 0, 4)
    states(tmp_path).save(4, model, optimizer)
    halfway = weights(model)
    model, optimizer = fresh()  # the frozen layer is that of the stage's beginning
    newest = states(tmp_path).newest()
    assert newest is not None
    assert newest.step == 4
    states(tmp_path).load(newest, model, optimizer)
    assert same(weights(model), halfway)
    assert model.unused.weight not in optimizer.state  # no gradient reached it, so weight decay must not either
    steps(model, optimizer, 4, 7)
    assert same(weights(model), unbroken)


def test_saving_changes_nothing(tmp_path):
    model, optimizer = fresh()
    steps(model, optimizer, 0, 3)
    states(tmp_path).save(3, model, optimizer)
    steps(model, optimizer, 3, 6)
    saved = weights(model)
    model, optimizer = fresh()
    steps(model, optimizer, 0, 6)
    assert same(weights(model), saved)


def test_frozen_weights_are_not_stored(tmp_path):
    model, optimizer = fresh(seed=0)
    states(tmp_path).save(1, model, optimizer)
    other, other_optimizer = fresh(seed=1)
    frozen = other.frozen.weight.clone()
    newest = states(tmp_path).newest()
    assert newest is not None
    states(tmp_path).load(newest, other, other_optimizer)
    assert torch.equal(other.frozen.weight, frozen)
    assert torch.equal(other.layer.weight, model.layer.weight)


def test_the_newest_states_and_the_best_are_kept(tmp_path):
    model, optimizer = fresh()
    store = states(tmp_path)
    losses = {1: float("nan"), 2: 1.0, 3: 1.5, 4: 2.0, 5: None, 6: 2.5}
    for step, loss in losses.items():
        store.save(step, model, optimizer)
        if loss is not None:
            store.set_validation_loss(step, loss)
        store.prune(keep_last=2, keep_best=2)
    # the newest two are 5 and 6; the lowest losses are those of 2 and 3
    assert names(tmp_path) == [f"step_{step:08}" for step in (2, 3, 5, 6)]
    store.prune(keep_last=1, keep_best=0)
    assert names(tmp_path) == ["step_00000006"]


def test_what_a_killed_save_left_is_neither_read_nor_kept(tmp_path):
    model, optimizer = fresh()
    store = states(tmp_path)
    store.save(1, model, optimizer)
    (tmp_path / "states" / "step_00000002.part").mkdir()
    newest = store.newest()
    assert newest is not None
    assert newest.step == 1
    store.save(2, model, optimizer)  # over what is left
    (tmp_path / "states" / "step_00000003.part").mkdir()
    store.prune(keep_last=2, keep_best=0)
    assert names(tmp_path) == ["step_00000001", "step_00000002"]


@pytest.mark.parametrize("damage", ["cut", "removed", "unreadable"])
def test_a_damaged_state_is_passed_over_for_the_one_before_and_written_anew(tmp_path, damage, caplog):
    model, optimizer = fresh()
    store = states(tmp_path)
    store.save(1, model, optimizer)
    folder = store.save(2, model, optimizer)
    data = folder / "__0_0.distcp"
    if damage == "cut":
        data.write_bytes(data.read_bytes()[:-10])
    elif damage == "removed":
        data.unlink()
    else:
        (folder / "state.json").write_text("{")
    newest = store.newest()
    assert newest is not None
    assert newest.step == 1
    assert "step_00000002 cannot be used" in caplog.text
    store.save(2, model, optimizer)
    newest = store.newest()
    assert newest is not None
    assert newest.step == 2


def test_a_state_of_another_model_is_refused(tmp_path):
    model, optimizer = fresh()
    store = states(tmp_path)
    store.save(1, model, optimizer)
    newest = store.newest()
    assert newest is not None
    model.frozen.requires_grad_(True)
    with pytest.raises(StateError, match=r"step_00000001: it and the model differ in 2 tensors, such as frozen\.bias"):
        store.load(newest, model, optimizer)
    other, other_optimizer = fresh(width=9)
    with pytest.raises(StateError, match="step_00000001"):
        store.load(newest, other, other_optimizer)


def test_a_full_disk_leaves_the_states_before_it_whole(tmp_path):
    model, optimizer = fresh(width=64)
    store = states(tmp_path)
    store.save(1, model, optimizer)
    saved = weights(model)
    steps(model, optimizer, 0, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # writing more to a file fails, as on a full disk
    try:
        with pytest.raises(StateError) as refused:
            store.save(2, model, optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(refused.value)
    assert "step_00000002 could not be written" in message
    # 64 x 64 + 64 of the layer, 64 x 3 + 3 unused, 5 x 64 of the table: 4,675 floats of 4 bytes, thrice
    assert "it needs 0.1 MB" in message
    assert "\n" not in message
    assert names(tmp_path) == ["step_00000001"]
    newest = store.newest()
    assert newest is not None
    again, again_optimizer = fresh(width=64)
    store.load(newest, again, again_optimizer)
    assert same(weights(again), saved)


def test_a_state_goes_on_at_another_number_of_processes(tmp_path):
    model, optimizer = fresh()
    steps(model, optimizer, 0, 6)
    unbroken = weights(model)
    model, optimizer = fresh()
    steps(model, optimizer, 0, 2)
    store = states(tmp_path)
    store.save(2, model, optimizer)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__, str(tmp_path), "2", "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    newest = store.newest()
    assert newest is not None
    assert newest.step == 4
    assert len(list(newest.folder.glob("*.distcp"))) == 2  # both have written their shards
    model, optimizer = fresh()
    store.load(newest, model, optimizer)
    steps(model, optimizer, 4, 6)
    for name, value in weights(model).items():
        assert torch.allclose(value, unbroken[name], atol=1e-6), name


def go_on_sharded(folder: Path, first: int, last: int) -> None:
    """Some steps of one of several processes, from the newest state."""
    from torch.distributed.fsdp import fully_shard

    store = states(folder)
    model, _ = fresh()
    fully_shard(model)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.01, weight_decay=0.1)
    newest = store.newest()
    assert newest is not None
    store.load(newest, model, optimizer)
    steps(model, optimizer, first, last)
    store.save(last, model, optimizer)


if __name__ == "__main__":
    go_on_sharded(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
