"""GTSRB as it was published: the 43 classes in their official order, in plain English, and how many images there are.

A class's number is its place in CLASS_NAMES. Source: https://benchmark.ini.rub.de/gtsrb_dataset.html
"""

import functools

CLASS_NAMES = (
    "Speed limit 20",
    "Speed limit 30",
    "Speed limit 50",
    "Speed limit 60",
    "Speed limit 70",
    "Speed limit 80",
    "End of speed limit 80",
    "Speed limit 100",
    "Speed limit 120",
    "No overtaking",
    "No overtaking for trucks",
    "Priority at next junction",
    "Priority road",
    "Give way",
    "Stop",
    "No vehicles",
    "No trucks",
    "No entry",
    "Danger",
    "Bend to the left",
    "Bend to the right",
    "Double bend",
    "Uneven road",
    "Slippery road",
    "Road narrows on the right",
    "Road works",
    "Traffic lights",
    "Pedestrians",
    "Children",
    "Bicycles",
    "Snow or ice",
    "Wild animals",
    "End of all limits",
    "Turn right ahead",
    "Turn left ahead",
    "Ahead only",
    "Ahead or right",
    "Ahead or left",
    "Keep right",
    "Keep left",
    "Roundabout",
    "End of no overtaking",
    "End of no overtaking for trucks",
)

NUM_CLASSES = len(CLASS_NAMES)
MIRRORED_CLASSES = ((19, 20), (33, 34), (36, 37), (38, 39))
"""Pairs that a left-right flip turns into each other: why no protocol flips traffic signs."""
NUM_TRAIN_BY_CLASS = (
    *(210, 2220, 2250, 1410, 1980, 1860, 420, 1440, 1410, 1470, 2010, 1320, 2100, 2160, 780, 630, 420, 1110, 1200, 210),
    *(360, 330, 390, 510, 270, 1500, 600, 240, 540, 270, 450, 780, 240, 689, 420, 1200, 390, 210, 2070, 300, 360, 240),
    240,
)
"""Training images of each class; class 33 has the one track of 29 frames."""
NUM_TRAIN, NUM_TRACKS, NUM_TEST = 39_209, 1_307, 12_630
NUM_SMALLER_TRAIN, NUM_SMALLER_TRACKS = 26_640, 888
FRAMES_PER_TRACK = 30


@functools.cache
def complete_frames() -> frozenset[tuple[int, int, int]]:
    """The (class, track, frame) of every training image: tracks of 30, but class 33's track 19, which has 29."""
    return frozenset(
        (label, *divmod(number, FRAMES_PER_TRACK))
        for label, num_images in enumerate(NUM_TRAIN_BY_CLASS)
        for number in range(num_images + (label == 33))
    ) - {(33, 19, 29)}
