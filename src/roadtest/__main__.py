"""`python -m roadtest` is `roadtest`."""

from roadtest.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
