"""Arrays of numbers as pixels, and pixels as PNG.

What range the numbers of an array have is found by looking at them. Wherever that is a guess, the guess is said.
"""

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from runstream.errors import Invalid

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
#: Channels of a picture, and PNG's number for that kind of colour: grey, grey and alpha, RGB, RGBA.
_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}
_MAX_SIDE_PIXELS: Final = 1 << 16
#: How far rounding and interpolation lead out of 0..1.
_OVERSHOOT: Final = 0.1


def png_of_array(image: Any) -> tuple[bytes, str]:
    """Return an array of pixels as PNG, and what to tell about it. Raises Invalid.

    Whole numbers of 0..255 are kept as they are, up to 65535 as 16 bits. Other numbers of 0..1 and -1..1 become
    0..255, those of 0..255 are rounded, and anything else is stretched over 0..255.
    """
    try:
        import numpy as np
    except ImportError:
        raise Invalid("an image as an array needs numpy: install it, or give a PIL image") from None
    array = _shaped(_real(np.asarray(image)))
    if array.dtype.kind == "b":
        return _png(array.astype(np.uint8) * np.uint8(255)), ""
    channels = array.shape[2]
    colours, alpha = (array[:, :, :-1], array[:, :, -1:]) if channels in (2, 4) else (array, None)
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 65535:
        return _png(array.astype(np.uint8 if array.max() <= 255 else np.uint16)), ""
    pixels, remark = _scaled(colours.astype(np.float64))
    if alpha is not None:
        pixels = np.concatenate([pixels, _scaled(alpha.astype(np.float64))[0]], axis=2)
    return _png(pixels), remark


def _real(array: "Array") -> "Array":
    """The array with real numbers of a type that numpy computes with. Raises Invalid."""
    import numpy as np

    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind in "VO" and array.dtype.names is None:  # bfloat16 and float8 of ml_dtypes, lists of tensors
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    raise Invalid(f"an image of {array.dtype}: give real numbers, such as integers 0..255 or floats 0..1")


def _shaped(array: "Array") -> "Array":
    """The array as [height, width, channels]. Raises Invalid."""
    shape = array.shape
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[2] not in _COLOUR_TYPES and array.shape[0] in _COLOUR_TYPES:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in _COLOUR_TYPES or max(array.shape) > _MAX_SIDE_PIXELS:
        raise Invalid(f"an image of shape {shape}: give one, [height, width] or [height, width, 1 to 4 channels]")
    if not array.size:
        raise Invalid(f"an image of shape {shape} has no pixels: give one of at least one pixel")
    return array


def _scaled(values: "Array") -> tuple["Array", str]:
    """Numbers as 0..255, and what to tell about it."""
    import numpy as np

    finite = np.isfinite(values)
    count = int(values.size - finite.sum())
    odd = f"{count} values are NaN or infinite and shown as the darkest or brightest; " if count else ""
    if count == values.size:
        return np.nan_to_num(values, nan=0, posinf=255, neginf=0).astype(np.uint8), f"{odd}give finite numbers"
    low, high = float(values[finite].min()), float(values[finite].max())
    floor, ceiling, guess = _range(values[finite], low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        # Halved before the difference, which may be more than a float holds.
        unit = (np.nan_to_num(values, nan=floor, posinf=ceiling, neginf=floor) / 2 - floor / 2) / (
            ceiling / 2 - floor / 2 or 1
        )
    pixels = np.floor(unit.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels, f"{odd}{guess}".removesuffix("; ")


def _range(finite: "Array", low: float, high: float) -> tuple[float, float, str]:
    """What black and white are, and what is guessed about that."""
    import numpy as np

    found = f"values from {low:g} to {high:g}"
    if low >= 0 and high <= 1:
        return 0, 1, ""
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return 0, 1, f"{found} were taken as 0..1 and cut: clip them to be sure"
    if low >= -1 and high <= 1:
        return -1, 1, f"{found} were taken as -1..1: give (x + 1) / 2 to be sure"
    if low >= 0 and high <= 255:
        whole = bool((finite == np.floor(finite)).all())
        return 0, 255, "" if whole else f"{found} were taken as 0..255: divide them by 255, or give uint8, to be sure"
    return low, high, f"{found} were stretched over the range from black to white: give 0..1, or integers 0..255"


def _png(pixels: "Array") -> bytes:
    """Pixels of 8 or 16 bits."""
    import numpy as np

    height, width, channels = pixels.shape
    depth = pixels.dtype.itemsize
    rows = pixels.astype(f">u{depth}").reshape(height, width * channels).view(np.uint8)
    # Every line of a PNG begins with the number of its filter; 0 is none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, _COLOUR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(lines.tobytes(), 6)
    return _PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
