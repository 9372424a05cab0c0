"""What the runs of a network answered on one set, put into the shapes that the judge takes.

A row per seed, of the same images (crossed: seeds x images) or of each seed's own fold. Shapes: S seeds, N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadtest import judge
from roadtest.record import RunRecord
from roadtest.summarise.metrics import ACCURACY, fold_sizes, image_weights, influence, score
from roadtest.summarise.results import Bools, Ints, Outcome, Results
from roadtest.summarise.scores import outcome_counts


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the runs of a network answered, run by run."""

    results: Results
    outcomes: list[Outcome]
    folds: list[int]

    @property
    def ids(self) -> list[Ints]:
        """The images of each run."""
        return [outcome.image_ids_N for outcome in self.outcomes]

    @property
    def is_crossed(self) -> bool:
        """All seeds answered the same images."""
        return all(np.array_equal(ids_N, self.ids[0]) for ids_N in self.ids)

    @property
    def num_folds(self) -> int:
        """How many different folds were answered; 1 where all seeds saw the same images."""
        return 1 if self.is_crossed else len(set(self.folds))

    @property
    def num_units(self) -> int:
        """How many tracks there are in all."""
        return len(np.unique(self.crossed_units()))

    def by_fold(self, metric: str) -> list[judge.FoldResult]:
        """One result a seed, on its own fold; of a metric that weighs classes, in images of equal weight."""
        return [self._fold(fold, outcome, metric) for fold, outcome in zip(self.folds, self.outcomes, strict=True)]

    def crossed(self) -> Bools:
        """Seeds x images where all saw the same, else one row of all answers."""
        correct = [outcome.is_correct_N for outcome in self.outcomes]
        return np.stack(correct) if self.is_crossed else np.concatenate(correct)[None, :]

    def crossed_units(self) -> Ints:
        """The units of the images behind the columns of `crossed`."""
        return self.results.units_N[self.ids[0] if self.is_crossed else np.concatenate(self.ids)]

    def scores(self, metric: str) -> judge.Scores:
        """A metric that weighs classes, in the same shape: one row with the mean of the runs where folds differ."""
        counts = [outcome_counts(self.results, outcome) for outcome in self.outcomes]
        values_S = np.array([score(one, metric) for one in counts])
        moved = [
            influence(outcome.labels_N, outcome.predicted_N, one, metric)
            for outcome, one in zip(self.outcomes, counts, strict=True)
        ]
        weights = [image_weights(outcome.labels_N) for outcome in self.outcomes]
        classes = [outcome.labels_N for outcome in self.outcomes]
        share = 1 / len(self.outcomes)
        return judge.Scores(
            values_S=values_S if self.is_crossed else values_S.mean(keepdims=True),
            influence_SN=np.stack(moved) if self.is_crossed else share * np.concatenate(moved)[None, :],
            weights_N=weights[0] if self.is_crossed else share * np.concatenate(weights),
            correct_SN=self.crossed(),
            classes_N=classes[0] if self.is_crossed else np.concatenate(classes),
            units_N=self.crossed_units(),
        )

    def has_images_of(self, other: "Answers") -> bool:
        """Whether both answered the same images in the same order, seed by seed; crossed, whatever their numbers."""
        if self.is_crossed and other.is_crossed:
            return np.array_equal(self.ids[0], other.ids[0])
        if len(self.ids) != len(other.ids):
            return False
        pairs = zip(self.ids, other.ids, strict=True)
        return all(np.array_equal(mine_N, theirs_N) for mine_N, theirs_N in pairs)

    def _fold(self, fold: int, outcome: Outcome, metric: str) -> judge.FoldResult:
        units_N = self.results.units_N[outcome.image_ids_N]
        num_seen, num_units = fold_sizes(outcome.labels_N, units_N, metric)
        if metric == ACCURACY:
            num_correct = float(outcome.is_correct_N.sum())
        else:
            num_correct = num_seen * score(outcome_counts(self.results, outcome), metric)
        return judge.FoldResult(fold=fold, num_correct=num_correct, num_seen=num_seen, num_units=num_units)


def gather_answers(results: Results, records: Sequence[RunRecord], part: str) -> Answers | None:
    """What these runs answered on `val` or `test`; None where one of them has no answers."""
    found = [results.outcome(record, part) for record in records]
    present = [outcome for outcome in found if outcome is not None and len(outcome.labels_N)]
    if not present or len(present) < len(found):
        return None
    num_folds = int(results.info.protocol["num_folds"])
    return Answers(results=results, outcomes=present, folds=[record.seed % num_folds for record in records])
