"""Processes of their own that need not import torch each: forked off a server that has imported it and done nothing.

A fork is only safe where nothing runs beside it, so never off the test's own process, whose torch has threads.
"""

import multiprocessing
from collections.abc import Callable
from typing import Any

PRELOADED = ("killed_run", "torch._dynamo", "torch._decomp", "torch._refs", "torch.nn.utils.stateless")
"""What the server imports before it forks: torch imports the last ones at its first training. No thread is started."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(list(PRELOADED))


def run_forked(target: Callable[..., Any], *arguments: Any, timeout_seconds: float = 120) -> int:
    """Call `target` in a process of its own and return its exit code: negative where a signal ended it."""
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join(timeout_seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{target.__name__}{arguments} took more than {timeout_seconds} seconds")
    return process.exitcode
