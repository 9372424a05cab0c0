"""The front door: what people type. One short function per verb parses, calls and prints; the work is done elsewhere.

`main` answers with an exit code: 0 all done; 1 finished, but some runs failed; 2 the user's mistake; 3 nothing meets
the limits; 130 interrupted, and what was done is kept. A mistake is one line on standard error, never a traceback.
Importing this package imports cyclopts and nothing heavy: torch, numpy and rich come in when a verb needs them.
"""

from roadtest.cli.app import main

__all__ = ["main"]
