"""Answers to words that roadtest does not know but people type: the way out in one line, never only "unknown".

Pure text: what the verbs and options are comes from the command line itself.
"""

import difflib
from collections.abc import Iterable

VERBS = {
    "train": "compare trains every network you name: roadtest compare SOURCE --networks lenet5",
    "fit": "compare trains every network you name: roadtest compare SOURCE --networks lenet5",
    "run": "compare trains and measures: roadtest compare SOURCE",
    "val": "compare measures validation and test accuracy of every run: see roadtest leaderboard STUDY; other labelled "
    "images: roadtest evaluate RUN SOURCE",
    "validate": "compare measures validation and test accuracy of every run: see roadtest leaderboard STUDY",
    "test": "compare reads the test set once per run: see roadtest leaderboard STUDY; other labelled images: roadtest "
    "evaluate RUN SOURCE",
    "eval": "evaluate judges a network on labelled images: roadtest evaluate RUN SOURCE",
    "classify": "predict names images: roadtest predict RUN IMAGES",
    "infer": "predict names images: roadtest predict RUN IMAGES",
    "inference": "predict names images: roadtest predict RUN IMAGES",
    "incumbent": "add puts a system beside the networks: roadtest add STUDY predictions.csv --name ours",
    "benchmark": "compare measures accuracy, time, memory and latency together: roadtest compare SOURCE",
    "bench": "compare measures accuracy, time, memory and latency together: roadtest compare SOURCE",
    "estimate": "plan says what compare would take: roadtest plan SOURCE",
    "cost": "plan says what compare would take: roadtest plan SOURCE",
    "onnx": "export writes an ONNX bundle: roadtest export RUN",
    "convert": "export writes an ONNX bundle: roadtest export RUN",
    "deploy": "export writes an ONNX bundle: roadtest export RUN",
    "resume": "the same compare command goes on where it stopped",
    "continue": "the same compare command goes on where it stopped",
    "list": "networks lists what can be compared, leaderboard what was",
    "models": "networks lists what can be compared",
    "results": "leaderboard prints them: roadtest leaderboard STUDY",
    "show": "leaderboard prints a study, report builds its page",
    "check": "data check looks at images, doctor at this machine: roadtest data check SOURCE",
    "audit": "data check looks for what is wrong with images: roadtest data check SOURCE",
    "preview": "data preview draws a sheet of images: roadtest data preview SOURCE",
    "env": "doctor says what this machine has",
    "info": "doctor says what this machine has",
    "version": "write roadtest --version",
    "help": "write roadtest --help, or roadtest VERB --help",
}

_NO_WORKERS = "images are decoded once and read from memory; see --jobs (runs at a time) and --threads"

OPTIONS = {
    "--workers": _NO_WORKERS,
    "--num-workers": _NO_WORKERS,
    "--data": "name an image folder as the source (roadtest compare path/to/images), or use --data-dir (GTSRB's files)",
    "--dataset": "name the data first: roadtest compare gtsrb, or signs, or path/to/images",
    "--source": "name the data first: roadtest compare gtsrb, or signs, or path/to/images",
    "--num-images": "name the number with the drawn signs: roadtest compare signs:20000",
    "--skewed": "name it with the drawn signs: roadtest compare signs:20000,skewed",
    "--train-on": "the source is what is trained on: roadtest compare signs --test-on gtsrb",
    "--model": "use --networks (also --models, -m)",
    "--network": "use --networks (also --models, -m)",
    "--arch": "use --networks (also --models, -m)",
    "--learning-rate": "use --lr",
    "--seed": "use --seeds: 3 means the seeds 0, 1 and 2; 0,4 means these two",
    "--epoch": "use --epochs N (at most N), or --budget 10m for training time per run",
    "--time": "use --budget 10m (per run) or --budget-total 2h (for all)",
    "--resume": "the same command goes on where it stopped",
    "--gpu": "use --device cuda",
    "--cuda": "use --device cuda",
    "--cpu": "use --device cpu",
    "--amp": "use --precision bfloat16; auto measures which one is faster here",
    "--fp16": "use --precision bfloat16; auto measures which one is faster here",
    "--bf16": "use --precision bfloat16; auto measures which one is faster here",
    "--output": "use --out",
    "--json": "use --format json",
    "--csv": "use --format csv",
}


def answer_verb(word: str, verbs: Iterable[str]) -> str:
    """Say in one line which verb was meant."""
    known = list(verbs)
    if word.lower() in VERBS:
        return f"there is no verb {word!r}: {VERBS[word.lower()]}"
    return f"there is no verb {word!r}: {_nearest(word, known)}; roadtest --help lists them"


def answer_option(option: str, verb: str, options: Iterable[str]) -> str:
    """Say in one line which option of `verb` was meant."""
    known = sorted(options)
    name = option.split("=")[0].lower().replace("_", "-")
    if name in OPTIONS and verb in ("compare", "plan", ""):
        return f"there is no option {name}: {OPTIONS[name]}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    advice = f"the nearest is {near[0]}; " if near else ""
    return f"there is no option {name}: {advice}roadtest {verb} --help lists them".replace("roadtest  ", "roadtest ")


def answer_surplus(words: Iterable[str], verb: str) -> str:
    """Say what to do with words that stand where none is expected."""
    text = " ".join(words)
    if verb in ("compare", "plan"):
        return f"{text!r} is one word too many: only SOURCE stands alone; lists have commas: --networks lenet5,resnet34"
    return f"{text!r} is one word too many: roadtest {verb} --help says what it takes"


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"the verbs are {', '.join(known)}"
