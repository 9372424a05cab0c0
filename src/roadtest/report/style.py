"""How every figure looks: two colours with a meaning, one quiet grey, small type, few lines.

Colour always means the same: blue circles without the STN, vermilion triangles with it; shape, dash and place say it
again for readers in grey. The page's style sheet overrides the colours of text and lines, so that dark and print
follow it.
"""

from typing import Any

WITHOUT, WITH, QUIET = "#0072B2", "#D55E00", "#848a92"
"""Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart, and a grey; all three reach 3:1
on white and on the page's dark."""
FONT = (
    "-apple-system, BlinkMacSystemFont, Segoe UI, Roboto, Noto Sans, Helvetica Neue, Liberation Sans, Arial, sans-serif"
)
EXPORT_FONT = "Helvetica Neue, Helvetica, Liberation Sans, Arial, sans-serif"
INK, PALE = "#3a3f45", "#dfe2e6"
THEME: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": PALE,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "domain": False,
        "tickSize": 4,
        "labelPadding": 4,
        "titlePadding": 8,
    },
    "title": {"anchor": "start", "fontSize": 12, "fontWeight": 600, "color": INK, "offset": 8, "frame": "group"},
    "text": {"color": INK, "fontSize": 11},
}
PANEL_WIDTH = 300
CHARACTER_WIDTH = 6.0
"""Pixels, of charts' words on average."""
LABEL_PLACES: dict[str, dict[str, Any]] = {
    "above": {"align": "center", "dy": -12},
    "below": {"align": "center", "dy": 15},
    "right": {"align": "left", "dx": 8, "dy": 1},
    "left": {"align": "right", "dx": -8, "dy": 1},
}
"""Where a point's name may stand; labels.place_labels chooses."""
