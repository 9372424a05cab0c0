"""What torch leaves on disk while a run works: its saved state, and its weights.

Both are replaced atomically, so that a process that is killed leaves the old file. Both are read without running any
code in them, because a study's folder may come from anybody.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from roadtest.records import read_rows, remove_temporary_files, replacing, write_rows
from roadtest.records.events import RunSpec
from roadtest.training.profile import peak_memory_bytes
from roadtest.training.state import TrainState

RUN_STATE, BRANCH_STATE = "state.pt", "branch.pt"
"""The run itself, and the copy that is being annealed beside it."""
SAVE_SECONDS = 60.0
"""A state is saved at most this often."""
MAX_SAVE_SHARE = 0.05
"""At most this share of the time goes into saving: a large network is saved less often."""


@dataclass(kw_only=True)
class SaveClock:
    """When a state is to be saved again."""

    saved_at: float = field(default_factory=time.monotonic)
    save_seconds: float = 0.0

    @property
    def is_due(self) -> bool:
        """Long enough ago, also for what the last save cost."""
        return time.monotonic() - self.saved_at > max(SAVE_SECONDS, self.save_seconds / MAX_SAVE_SHARE)

    def save(self, write: Callable[[], None]) -> None:
        """Save now, and note what it cost."""
        start = time.monotonic()
        write()
        self.saved_at, self.save_seconds = time.monotonic(), time.monotonic() - start


@dataclass(kw_only=True)
class RunMetadata:
    """How a run began; saved with its state, so that a continued run knows whether it is still the same."""

    identity: str
    """Protocol, data, split, learning rate and the user's file: a state of another identity is never continued."""
    machine: str
    precision: str
    precision_probe_ms: dict[str, float]
    started_at: str
    num_resumes: int = 0
    is_time_comparable: bool = True
    load: float = 0.0
    """The largest share of the usable cores that other programs used: when a process began, and while it trained."""


def write_state(job: RunSpec, training: TrainState, metadata: RunMetadata, name: str = RUN_STATE) -> None:
    """Replace the saved state by the present one; nothing is written before the run has its plan."""
    progress = training.progress
    if progress.num_steps is None:
        return
    progress.peak_memory_bytes = max(progress.peak_memory_bytes, peak_memory_bytes(training.device))
    with replacing(job.run_dir / name) as temporary:
        torch.save({"origin": asdict(metadata), "training": training.to_state()}, temporary)


def read_state(job: RunSpec, name: str = RUN_STATE) -> dict[str, Any] | None:
    """The saved state; None where there is no file, a ValueError in one line where it is damaged.

    Files that an earlier process left half-written are removed.
    """
    remove_temporary_files(job.run_dir)
    path = job.run_dir / name
    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on files that torch did not write
            state: dict[str, Any] = torch.load(path, map_location=job.device, weights_only=True)
        if set(state["origin"]) != {f.name for f in fields(RunMetadata)}:
            raise ValueError("it was written by another version")
        # torch takes states of generators from the CPU alone
        for kind in ("generator", "cuda_generator", "mps_generator"):
            if state["training"][kind] is not None:
                state["training"][kind] = state["training"][kind].cpu()
    except Exception as error:  # a hostile file can make a reader raise anything
        raise ValueError(
            f"{path} cannot be gone on from ({type(error).__name__}): it must be a state that roadtest saved; "
            f"delete it to begin this {'run' if name == RUN_STATE else 'branch'} anew"
        ) from None
    return state


def drop_rows_after(path: Path, step: int) -> None:
    """Remove from epochs.csv what was written after the state was saved: it will be written again."""
    rows = read_rows(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if rows:
        write_rows(path, kept, rows[0].keys())


def write_weights(path: Path, network: nn.Module, metadata: dict[str, str]) -> int:
    """Write a network's weights without pickle, and return how many bytes they take on disk."""
    weights: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in network.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        weights[name] = plain.clone() if plain.data_ptr() in places else plain  # safetensors refuses shared memory
        places.add(plain.data_ptr())
    with replacing(path) as temporary:
        save_file(weights, temporary, metadata=metadata)
    return path.stat().st_size


def count_weight_bytes(network: nn.Module) -> int:
    """Bytes of the weights and buffers that would be written."""
    return sum(tensor.nbytes for tensor in network.state_dict().values())
