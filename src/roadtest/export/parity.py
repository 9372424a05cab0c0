"""Whether an exported network answers as the trained one does: largest difference, changed predictions, accuracy.

A prediction has changed where the most probable class is another. Accuracies are kept as counts, so that batches can
be added up. N images, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How the answers of an exported network differ from the trained network's, which is PyTorch in float32."""

    num_images: int
    largest_difference: float
    """Of any two logits."""
    largest_logit: float
    """In absolute value, PyTorch's: what the difference is to be seen against."""
    num_changed: int
    num_correct: int | None
    """None without labels."""


def compare_answers(expected_NK: Floats, found_NK: Floats, labels_N: Ints | None) -> Parity:
    """Compare logits of the same images, PyTorch's first."""
    assert expected_NK.shape == found_NK.shape, (expected_NK.shape, found_NK.shape)
    return Parity(
        num_images=len(expected_NK),
        largest_difference=float(np.abs(expected_NK - found_NK).max()),
        largest_logit=float(np.abs(expected_NK).max()),
        num_changed=int((expected_NK.argmax(1) != found_NK.argmax(1)).sum()),
        num_correct=None if labels_N is None else int((found_NK.argmax(1) == labels_N).sum()),
    )


def join_parities(parts: Sequence[Parity]) -> Parity:
    """The parity over all images of several batches."""
    counts = [part.num_correct for part in parts if part.num_correct is not None]
    return Parity(
        num_images=sum(part.num_images for part in parts),
        # numpy's maximum keeps what is no number; Python's may lose it
        largest_difference=float(np.max([part.largest_difference for part in parts])),
        largest_logit=float(np.max([part.largest_logit for part in parts])),
        num_changed=sum(part.num_changed for part in parts),
        num_correct=sum(counts) if len(counts) == len(parts) else None,
    )
