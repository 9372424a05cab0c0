"""What a set of drawn signs is asked to be, as one word: `signs`, `signs:20000,skewed`, `signs:20000,worlds,seed=3`.

After the colon stand, in any order and with commas between them: a number of training images, `test=N` of test images,
`skewed` (classes as frequent as in GTSRB), `wild` (as varied as real roads), `worlds` (wild too, with a validation part
from worlds that training never shows) and `seed=N`. One word instead of options, because it then goes wherever a source
goes and names the study's folder.
"""

import re
from dataclasses import dataclass, fields

NAME = "signs"
MAX_SEED = 10**19 - 1
_SETTING = re.compile(r"(?:(?P<name>test|seed)=)?(?P<number>[0-9]{1,19})")
_FLAGS = {"skewed": "is_skewed", "wild": "is_wild", "worlds": "has_worlds"}
_NAMES = {None: "num_train", "test": "num_test", "seed": "seed"}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawn set: the same one is the same pixels."""

    num_train: int = 4300
    num_test: int = 1290
    seed: int = 0
    is_skewed: bool = False
    """Classes are as frequent as in GTSRB's training images, instead of equally so."""
    is_wild: bool = False
    """Light, cameras and makers are as varied as on real roads: harder, and it teaches more of real signs."""
    has_worlds: bool = False
    """Training shows some backgrounds, makers' styles, lights and cameras, and a validation part shows the others."""

    @property
    def word(self) -> str:
        """The shortest word for it: equal drawings have equal words."""
        plain = Drawing()
        settings = [str(self.num_train)] if self.num_train != plain.num_train else []
        settings += [f"test={self.num_test}"] if self.num_test != plain.num_test else []
        settings += [flag for flag, name in _FLAGS.items() if getattr(self, name)]
        settings += [f"seed={self.seed}"] if self.seed != plain.seed else []
        return f"{NAME}:{','.join(settings)}" if settings else NAME


def is_drawn(source: str) -> bool:
    """Whether a source's word asks for drawn signs; a folder of that name is `./signs`."""
    return source == NAME or source.startswith(f"{NAME}:")


def parse_drawing(source: str) -> Drawing:
    """Read `signs` or `signs:...`; a ValueError in one line where a setting is none, or stands there twice."""
    assert is_drawn(source), source
    settings = source.removeprefix(NAME).removeprefix(":")
    return read_settings(source, settings.split(",")) if source != NAME else Drawing()


def read_settings(source: str, settings: list[str]) -> Drawing:
    """Read the settings of a drawing; `source` is what the user wrote, for the refusal."""
    chosen: dict[str, int | bool] = {}
    for setting in settings:
        name, value = _read(setting)
        if name is None or name in chosen:
            what = "stands there twice" if name else "is no setting of drawn signs"
            raise ValueError(
                f"{source[:80]!r}: {setting[:40]!r} {what}: a number of training images, test=N, seed=N, skewed, wild "
                "and worlds are settings, with commas; write for instance signs:20000,skewed"
            )
        chosen[name] = value
    return Drawing(**chosen)  # type: ignore[arg-type]


def _read(setting: str) -> tuple[str | None, int | bool]:
    if setting in _FLAGS:
        return _FLAGS[setting], True
    match = _SETTING.fullmatch(setting)
    if match is None:
        return None, False
    return _NAMES[match["name"]], int(match["number"])


assert {*_FLAGS.values(), *_NAMES.values()} == {field.name for field in fields(Drawing)}
