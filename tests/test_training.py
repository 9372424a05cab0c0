"""What a network on its way is made of: its saved state, its groups of weights, its epochs in steps."""

from dataclasses import asdict, replace

import pytest
import torch

from roadtest import train as train_module
from roadtest.descent import build_optimizer
from roadtest.train import train
from tiny import TINY, TinyNet, rows_of, tiny_training, weights_of


def test_an_epoch_is_its_whole_batches_and_a_batch_is_no_larger_than_the_set() -> None:
    training = tiny_training(replace(TINY, batch_size=40))
    assert (len(training.train_ids_N), training.batch_size, training.steps_per_epoch) == (90, 40, 2)
    training.progress.step = 3
    assert training.epoch == 1.5
    assert tiny_training(replace(TINY, batch_size=1000)).batch_size == 90


@pytest.mark.slow
def test_going_on_from_a_saved_state_gives_the_same_bits_wherever_it_was_saved() -> None:
    whole = tiny_training()
    expected_rows = rows_of(whole)
    for stop_step in (1, 5, 6, 13):
        broken = tiny_training(replace(TINY), should_stop=lambda: False)
        train_module.TICK_SECONDS, kept = 0.0, train_module.TICK_SECONDS  # a tick after every step
        try:
            for _ in train(broken):
                if broken.progress.step == stop_step:
                    break
            state = broken.to_state()
            state = {**state, "network": {k: v.clone() for k, v in state["network"].items()}}
            resumed = tiny_training(network=TinyNet())
            torch.manual_seed(999)
            resumed.restore(state)
            rows = rows_of(resumed)
        finally:
            train_module.TICK_SECONDS = kept
        assert torch.equal(weights_of(resumed), weights_of(whole)), f"stopped at step {stop_step}"
        assert [r.val_loss_sum for r in rows] == [r.val_loss_sum for r in expected_rows][-len(rows) :]


def test_the_state_holds_plain_values_and_tensors_only(tmp_path: object) -> None:
    training = tiny_training()
    list(train(training))
    path = f"{tmp_path}/state.pt"
    torch.save(training.to_state(), path)
    state = torch.load(path, weights_only=True)
    assert state["progress"] == asdict(training.progress)


def test_biases_norms_and_the_stn_are_not_decayed_and_the_stn_has_its_own_rate() -> None:
    class Fronted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stn = torch.nn.Linear(2, 2)
            self.network = TinyNet()

    groups = build_optimizer(Fronted(), replace(TINY, stn_learning_rate_factor=0.25)).param_groups
    assert [(g["weight_decay"], g["factor"]) for g in groups] == [(5e-4, 1.0), (0.0, 1.0), (0.0, 0.25)]
    assert [sum(p.numel() for p in g["params"]) for g in groups] == [300 + 588, 4 + 4 + 4 + 3, 6]
