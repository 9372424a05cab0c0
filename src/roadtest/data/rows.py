"""An .npy file of images that several processes fill row by row, in any order.

Rows are written as plain file output, never through a memory map: a disk that fills is an error then, not a crash.
Shapes: N images, H = W = image_size, C = 3 channels (RGB), one byte each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """The file, and how large its images are."""

    path: Path
    image_size: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one image."""
        return self.image_size * self.image_size * 3

    def num_bytes(self, num_images: int) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + num_images * self.row_bytes

    def start(self, num_images: int) -> None:
        """Create the file with all rows zero."""
        with self.path.open("wb") as file:
            file.write(self._header(num_images))
            file.truncate(self.num_bytes(num_images))

    def write(self, start: int, pixels_NHWC: npt.NDArray[np.uint8]) -> None:
        """Write images as the rows from `start` on; an OSError is the disk's."""
        with self.path.open("r+b") as file:
            file.seek(self.num_bytes(start))
            file.write(pixels_NHWC.tobytes())

    def keep(self, rows: Sequence[int]) -> None:
        """Move some rows together, in their (ascending) order, and cut the rest off."""
        with self.path.open("r+b") as file:
            for place, row in enumerate(rows):
                if row != place:
                    file.seek(self.num_bytes(row))
                    pixels = file.read(self.row_bytes)
                    file.seek(self.num_bytes(place))
                    file.write(pixels)
            file.truncate(self.num_bytes(len(rows)))
            file.seek(0)
            file.write(self._header(len(rows)))

    def _header(self, num_images: int) -> bytes:
        """Version 1.0 of the format, padded so that it has the same length for any number of images."""
        shape = (num_images, self.image_size, self.image_size, 3)
        words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        words = words.ljust(HEADER_BYTES - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words.encode("ascii")
