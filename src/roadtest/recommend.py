"""The network to use under the user's limits, and why.

Of the networks that meet the limits, the most accurate one in validation leads. The answer is the cheapest network
that is **shown** to be at most the tolerance worse than it: the lower bound of the paired difference over the
validation folds lies above minus the tolerance. Bounds hold together for all that are cheaper than the leader, so that
looking at many does not make one pass. Where only the leader passes, it is the answer, and the cheaper ones are not
decided. One or two seeds give the same table as an observation. An undertrained network is never recommended.

Validation chooses, test confirms: test labels are read only for the figures quoted in `test` and in the `test_`
columns. Cheapest means: see `recommend_limits.cost_key`. Sentences are in recommend_words.py.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from roadtest import judge
from roadtest.recommend_limits import Miss, choose_preference, cost_key, misses, read_limits, read_tolerance
from roadtest.recommend_words import Facts, Words, write_words
from roadtest.summarise import (
    TOLERANCE_POINTS,
    Results,
    Variant,
    difference_between,
    leaderboard_rows,
    more_for,
    ranked_variants,
    read_results,
)

Row = dict[str, Any]
JUDGED, OBSERVED = "judged", "observed"
MAX_MISSES = 3
