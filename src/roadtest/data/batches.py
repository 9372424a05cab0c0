"""Drawn signs among the real images of an epoch: which stand in which batch.

An epoch with drawn signs has as many steps as without: in every batch the last images of the real ones' order give way.
So the control for "do drawn signs help?" is the same command without them. S steps, B images of a batch.
"""

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_DRAWN_KEY = 43  # of the generator that orders drawn signs, apart from the one that shuffles real images


def count_drawn(batch_size: int, drawn_fraction: float) -> int:
    """How many images of a batch are drawn; a ValueError where rounding leaves none, or no real one."""
    num_drawn = round(batch_size * drawn_fraction)
    if drawn_fraction > 0 and not 0 < num_drawn < batch_size:
        raise ValueError(
            f"a share of {drawn_fraction:g} drawn signs is {num_drawn} images of a batch of {batch_size}: both kinds "
            "need at least one; choose another share, or a larger --batch-size"
        )
    return num_drawn


def mix_in(order_N: Ints, drawn_ids_N: Ints, *, batch_size: int, num_drawn: int, seed: int, epoch: int) -> Ints:
    """Put drawn images into the last `num_drawn` places of every whole batch; what follows the last one is cut off.

    They come in an order of seed and epoch alone, and none comes again before all have come.
    """
    if num_drawn == 0:
        return order_N
    num_steps = len(order_N) // batch_size
    batches_SB = order_N[: num_steps * batch_size].reshape(num_steps, batch_size).copy()
    generator = np.random.default_rng([seed, epoch, _DRAWN_KEY])
    num_rounds = math.ceil(num_steps * num_drawn / len(drawn_ids_N))
    drawn_N = np.concatenate([generator.permutation(drawn_ids_N) for _ in range(num_rounds)])
    batches_SB[:, batch_size - num_drawn :] = drawn_N[: num_steps * num_drawn].reshape(num_steps, num_drawn)
    mixed_N: Ints = batches_SB.reshape(-1)
    return mixed_N
