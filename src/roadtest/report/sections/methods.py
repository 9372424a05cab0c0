"""How the study was judged, in a paragraph for a methods section, from what the records say was done.

Names the unit of error (track, recovered track, probable frame chain, group, single image), for every interval rests on
it. References are numbered as the text calls for them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roadtest.analysis import Judged, Results, judge_networks, stats
from roadtest.format import capitalise, number_word, plural_range
from roadtest.report.blocks import Context, Items, Section, Text, present

REFERENCES = {
    "bouthillier": "Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021.",
    "clopper": "Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934.",
    "holm": "Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, "
    "1979.",
    "jaderberg": "Jaderberg et al., Spatial transformer networks, NeurIPS 2015.",
    "owen": "Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007.",
    "piepho": "Piepho, An algorithm for a letter-based representation of all-pairwise comparisons, Journal of "
    "Computational and Graphical Statistics 13, 2004.",
    "satterthwaite": "Satterthwaite, An approximate distribution of estimates of variance components, Biometrics "
    "Bulletin 2, 1946.",
    "searle": "Searle, Casella and McCulloch, Variance Components, Wiley 1992.",
    "stallkamp": "Stallkamp et al., Man vs. computer: benchmarking machine learning algorithms for traffic sign "
    "recognition, Neural Networks 32, 2012.",
    "ward": "Ward, Hierarchical grouping to optimize an objective function, Journal of the American Statistical "
    "Association 58, 1963.",
    "welch": "Welch, The generalization of “Student’s” problem when several different population variances are "
    "involved, Biometrika 34, 1947.",
}


_CALLS = re.compile(r"\{(" + "|".join(REFERENCES) + r")\}")


@dataclass(frozen=True, kw_only=True)
class Methods:
    """Paragraphs with numbers in brackets, and what these refer to."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def section(context: Context) -> Section:
    """The paragraphs, and the references that they call for."""
    found = describe_methods(context.results)
    references = Items(items=found.references, kind="references") if found.references else None
    blocks = present(*(Text(text=paragraph) for paragraph in found.paragraphs), references)
    return Section(title="How it was judged", anchor="methods", short_title="Methods", blocks=blocks)


def describe_methods(results: Results) -> Methods:
    """Say how the study was trained, split and judged; only what was done."""
    judged = judge_networks(results)
    said = (
        _describe_training(results),
        _describe_units(results, judged),
        describe_intervals(results, judged),
        _describe_verdicts(results, judged),
    )
    return number_references([paragraph for paragraph in said if paragraph])


def number_references(paragraphs: Sequence[str]) -> Methods:
    """Turn `{holm}` into `[1]`, numbered in the order in which they are called for."""
    cited = list(dict.fromkeys(_CALLS.findall(" ".join(paragraphs))))
    numbered = [_CALLS.sub(lambda found: f"[{cited.index(found[1]) + 1}]", one) for one in paragraphs]
    return Methods(paragraphs=tuple(numbered), references=tuple(REFERENCES[name] for name in cited))


def unit_words(results: Results, part: str) -> str:
    """What stands or falls by itself: `track`, `recovered track`, `probable frame chain`, `group` or `single image`."""
    split = "test" if part == "test" else "val" if results.info.num_val else "train"
    groups = {row["group"] for row in results.split_rows if row["split"] == split} - {""}
    if not groups:
        return "single image"
    if any(group.startswith("~") for group in groups):
        return "recovered track"
    if re.search(r"--group[ =]auto\b", results.info.command):
        return "probable frame chain"
    return "track" if results.info.source in ("gtsrb", "signs") else "group"


def _describe_training(results: Results) -> str:
    info = results.info
    seeds = plural_range([len(variant.planned) for variant in results.variants], "seed")
    num_folds = int(info.protocol["num_folds"])
    data = "GTSRB {stallkamp}" if info.source == "gtsrb" else "the data"
    stn = ", with and without a Spatial Transformer {jaderberg}" if any(run.has_stn for run in info.runs) else ""
    split = (
        f"The training part of {data} was dealt over {num_folds} folds, groups of images that belong together never "
        f"divided; seed k validates on fold k mod {num_folds} and trains on the others, for every network."
        if not info.num_val
        else "Every seed validates on the validation part that the data came with."
    )
    test = " Validation chose; the test set was read once a run, after its choice." if info.reads_test else ""
    num_networks = len({run.network for run in info.runs})
    networks = f"{capitalise(number_word(num_networks))} network{'s' * (num_networks != 1)}"
    return (
        f"{networks}{stn}, trained under one protocol ({info.protocol['name']}) with "
        f"{seeds} each, which vary {'' if info.num_val else 'the split, '}the initial weights, the order of the images "
        f"and their augmentation. {split}{test}"
    )


def _describe_units(results: Results, judged: Judged) -> str:
    if not results.split_rows:
        return "What stands or falls by itself is not known here: the split (split.csv) is missing."
    kind = unit_words(results, judged.split)
    recovered = (
        " The publisher keeps the test tracks’ numbers; they were recovered by Ward’s clustering {ward} within each "
        "class, on small colour thumbnails, two clusters for three tracks; on training tracks, whose numbers are "
        "known, standard errors were 0.96 to 1.04 of the true ones (small networks, 91 to 96 % accurate)."
        if kind == "recovered track"
        else ""
    )
    chains = " Chains were proposed by names and looks." if kind == "probable frame chain" else ""
    if kind == "single image":
        return "The unit of error is the single image: the data names no groups. Frames of one scene would hide in it."
    return (
        f"The unit of error is the {kind}: images of one stand or fall together. Beside an interval, the design effect "
        f"is its variance over the one that counting images would give.{recovered}{chains}"
    )


def describe_intervals(results: Results, judged: Judged) -> str:
    if max((len(variant.records) for variant in results.variants), default=0) < stats.MIN_SEEDS:
        return (
            "With one or two seeds the luck of a training cannot be told from the network: intervals are over units "
            "alone, for these trained weights, and there are no verdicts."
        )
    by_folds = (
        "In validation by folds the fold is the unit: a paired t over folds for differences, a t on the logit scale "
        "for accuracies. It holds the luck of seeds and of the split together."
    )
    crossed = (
        f"An interval on new {results.info.subject} adds the luck of seeds and of units as crossed random effects "
        "{searle} {owen}, with Satterthwaite’s degrees of freedom {satterthwaite}, an accuracy on the logit scale; "
        "where no unit errs it reaches as far as Clopper and Pearson’s {clopper} would. Differences are paired by "
        "image. An interval for these images, if trained again, is Welch’s t over seeds {welch}. Verdicts need both "
        "kinds of luck {bouthillier}."
    )
    if results.info.num_val:
        return crossed
    return by_folds if judged.split == "val" else f"{crossed} {by_folds}"


def _describe_verdicts(results: Results, judged: Judged) -> str:
    if not judged.is_judged:
        return ""
    num_pairs = sum(verdict.p_adjusted is not None for verdict in judged.verdicts)
    pairs = f"All {num_pairs} pairs were" if num_pairs > 1 else "The one pair was"
    return (
        f"{pairs} judged together at 5 % after Holm’s correction {{holm}}; networks that share a letter are not "
        f"separated {{piepho}}. A tolerance of {results.tolerance_points:g} points says what matters: the recommended "
        "network is the cheapest that validation shows to be at most that much worse than the best, and the STN pays "
        "where its gain is shown to be more."
    )
