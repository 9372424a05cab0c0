"""Processes of their own that need not import torch each: forked off a server that has imported it and done nothing.

A fork is only safe where nothing runs beside it, so never off the test's own process, whose torch has threads.
"""

import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PRELOADED = ("killed_run", "torch._dynamo", "torch._decomp", "torch._refs", "torch.nn.utils.stateless")
"""What the server imports before it forks: torch imports the last ones at its first training. No thread is started."""
_CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
_CONTEXT.set_forkserver_preload(list(_PRELOADED))


def run_forked(target: Callable[..., Any], *arguments: Any, timeout_seconds: float = 120) -> int:
    """Call `target` in a process of its own and return its exit code: negative where a signal ended it."""
    process = _CONTEXT.Process(target=_call, args=(dict(os.environ), target, arguments))
    process.start()
    process.join(timeout_seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{target.__name__}{arguments} took more than {timeout_seconds} seconds")
    return process.exitcode


def _call(environment: dict[str, str], target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _live_in(environment)
    target(*arguments)


def _live_in(environment: dict[str, str]) -> None:
    """In place of the server's own environment, which is that of the test that started it."""
    os.environ.clear()
    os.environ.update(environment)


class ForkedWorker:
    """A real worker of a study, forked: as much of `subprocess.Popen` as roadtest.study.launch asks for."""

    def __init__(self, words: Sequence[str], *, stderr: Any, env: Mapping[str, str], **_: Any) -> None:
        their_input, my_end = _CONTEXT.Pipe(duplex=False)
        other_end, their_output = _CONTEXT.Pipe(duplex=False)
        streams = (their_input, their_output, Path(stderr.name))
        self._process = _CONTEXT.Process(target=_work, args=(list(words[-2:]), dict(env), *streams))
        self._process.start()
        self.stdin, self.stdout = (os.fdopen(os.dup(end.fileno()), m) for end, m in ((my_end, "wb"), (other_end, "rb")))
        for end in (their_input, my_end, other_end, their_output):
            end.close()
        self.kill = self._process.kill

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self._process.exitcode


def _work(words: list[str], environment: dict[str, str], stdin: Any, stdout: Any, log: Path) -> None:
    from roadtest.training import worker

    for number, file in enumerate((stdin.fileno(), stdout.fileno(), os.open(log, os.O_WRONLY | os.O_APPEND))):
        os.dup2(file, number)
    for end in (stdin, stdout):
        end.close()
    _live_in(environment)
    sys.exit(worker.main(words))


def run_script(words: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Stands in for the benchmarks' `run_process`: the figures in a script's last line, and that nobody disturbed it.

    Their real processes test_side_by_side.py starts. A variable that a library reads as it loads changes nothing here.
    """
    from benchmarks.speed.side_by_side import ProcessFailed

    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        code = run_forked(_run_as_main, list(words), dict(environment), str(out), str(err))
        if code != 0:
            raise ProcessFailed(f"code {code}: {err.read_text().strip().splitlines()[-1]}")
        return json.loads(out.read_text().splitlines()[-1]), 0.0


def _run_as_main(words: list[str], environment: dict[str, str], out: str, err: str) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
