"""Random numbers from a counter: the same for an image whatever is drawn beside it, on every device.

splitmix64's mixing function: Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195. N images, D draws.
"""

import torch
from torch import Tensor


def draw_uniform(image_ids_N: Tensor, *, seed: int, epoch: int, num_draws: int) -> Tensor:
    """Draw float32 numbers ND, uniform on [0, 1), that depend on seed, epoch, image id and column only.

    Multiples of 2**-24, exact on every device; column d is the same for every `num_draws` above d.
    """
    assert num_draws <= _MAX_DRAWS, num_draws
    key = _signed(_mix_int(_mix_int(seed) + epoch))
    columns_D = torch.arange(num_draws, device=image_ids_N.device)
    counters_ND = (image_ids_N * _MAX_DRAWS)[:, None] + columns_D
    bits_ND = _mix_(counters_ND.mul_(_GAMMA).add_(key))
    return _shift_right(bits_ND, 40).to(torch.float32).mul_(2.0**-24)


def _signed(word: int) -> int:
    return (word + 2**63) % 2**64 - 2**63


_GAMMA = _signed(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, made odd: consecutive counters lie far apart
_FACTOR_1 = _signed(0xBF58476D1CE4E5B9)
_FACTOR_2 = _signed(0x94D049BB133111EB)
_MAX_DRAWS = 64


def _shift_right(words: Tensor, num_bits: int) -> Tensor:
    """Shift int64 words right with zeros coming in; torch's own shift repeats the sign bit."""
    return (words >> num_bits).bitwise_and_((1 << (64 - num_bits)) - 1)


def _mix_(words: Tensor) -> Tensor:
    """Scramble int64 words in place, one to one; products wrap around at 64 bits."""
    words.bitwise_xor_(_shift_right(words, 30)).mul_(_FACTOR_1)
    words.bitwise_xor_(_shift_right(words, 27)).mul_(_FACTOR_2)
    return words.bitwise_xor_(_shift_right(words, 31))


def _mix_int(word: int) -> int:
    """The same of one Python number, after a step of the counter."""
    word = (word + _GAMMA) % 2**64
    word = (word ^ word >> 30) * _FACTOR_1 % 2**64
    word = (word ^ word >> 27) * _FACTOR_2 % 2**64
    return word ^ word >> 31
