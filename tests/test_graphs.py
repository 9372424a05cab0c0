"""Recorded work: on a GPU a graph does again what was recorded; elsewhere a step is just taken."""

import pytest
import torch

from roadtest.graphs import record_graph, take_aside, take_without_waiting


def test_elsewhere_a_step_is_taken_where_it_stands() -> None:
    for take in (take_aside, take_without_waiting):
        assert take(lambda: torch.ones(3).sum(), "cpu").item() == 3


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_a_graph_reads_its_places_anew_each_time_and_recording_takes_no_step() -> None:
    place = torch.zeros(3, device="cuda")

    def step() -> torch.Tensor:
        return place.add_(1).sum()

    take_aside(step, "cuda")
    result, replay = record_graph(step, "cuda")
    assert place.tolist() == [1, 1, 1]
    replay()
    place.mul_(10)
    replay()
    assert (place.tolist(), result.item()) == ([21, 21, 21], 63)


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_what_waits_for_the_device_is_an_error_and_the_mode_is_given_back() -> None:
    ones = torch.ones(3, device="cuda")
    before = torch.cuda.get_sync_debug_mode()
    assert take_without_waiting(lambda: ones.sum(), "cuda").item() == 3
    with pytest.raises(RuntimeError, match="synchroniz"):
        take_without_waiting(lambda: ones * ones.sum().item(), "cuda")
    assert torch.cuda.get_sync_debug_mode() == before
