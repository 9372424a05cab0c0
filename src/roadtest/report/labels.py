"""Where the names of points stand in a scatter plot, so that they cover as little as possible.

Greedy and approximate: names are placed one after the other, best network first, in a panel of the page's usual size;
Vega-Lite knows no such layout of its own.
"""

from typing import Any

import numpy as np

from roadtest.report.style import CHARACTER_WIDTH

Row = dict[str, Any]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""
WIDTH, HEIGHT = 225.0, 200.0
"""Of the panel that is imagined."""
ENOUGH_ROOM = 60.0
"""Square pixels that a name off the front may cover before it is left to the pointer."""


def place_labels(rows: list[Row]) -> None:
    """Choose for each point, best first, the place beside it where its name covers least; note it as `place`.

    Distances are taken in a panel of the page's usual size; a name that fits nowhere is left to the pointer.
    """
    if not rows:
        return
    across = _on_panel([float(np.log(row["cost"])) for row in rows], 30, WIDTH - 30)
    down = _on_panel([-row["accuracy"] for row in rows], 18, HEIGHT - 18)
    spots = list(zip(across, down, strict=True))
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    for number in sorted(range(len(rows)), key=lambda n: (not rows[n]["is_front"], -rows[n]["accuracy"])):
        boxes = _label_boxes(*spots[number], width=CHARACTER_WIDTH * min(len(rows[number]["label"]), 21))
        own = taken[number]
        covered = {
            place: _outside(box) + sum(_overlap(box, other) for other in taken if other is not own)
            for place, box in boxes.items()
        }
        best = min(covered, key=lambda place: covered[place])
        rows[number]["place"] = best if covered[best] < ENOUGH_ROOM or rows[number]["is_front"] else "none"
        if rows[number]["place"] != "none":
            taken.append(boxes[best])


def _on_panel(values: list[float], low: float, high: float) -> list[float]:
    span = max(values) - min(values)
    return [(low + high) / 2 if span == 0 else low + (value - min(values)) / span * (high - low) for value in values]


def _label_boxes(x: float, y: float, *, width: float) -> dict[str, Box]:
    return {
        "above": (x - width / 2, y - 19, x + width / 2, y - 7),
        "right": (x + 8, y - 6, x + 8 + width, y + 6),
        "left": (x - 8 - width, y - 6, x - 8, y + 6),
        "below": (x - width / 2, y + 8, x + width / 2, y + 20),
    }


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: Box) -> float:
    """How much of a box lies beyond the panel's sides, as an area."""
    return 12.0 * (max(0.0, -box[0] - 8) + max(0.0, box[2] - WIDTH - 8))
