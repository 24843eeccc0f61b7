"""Pictures as PNG: from matplotlib, PIL, numpy and torch, none of which is needed to import this."""

import io
import struct
import zlib
from typing import Any, Final

from runstream.errors import Invalid

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
#: Channels of a picture, and PNG's number for that kind of colour: grey, grey and alpha, RGB, RGBA.
_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}
_MAX_SIDE_PIXELS: Final = 1 << 16


def png_bytes(image: Any) -> bytes:
    """`image` as PNG: a matplotlib figure, a PIL image, or an array or tensor of shape [height, width],
    [height, width, channels] or [channels, height, width] with values 0..255 (integers, bool) or 0..1 (floats).

    Raises Invalid.
    """
    if callable(getattr(image, "savefig", None)):
        return _saved(image.savefig)
    if callable(getattr(image, "save", None)) and hasattr(image, "mode"):
        return _saved(image.save)
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    if hasattr(image, "__array__") or isinstance(image, list | tuple):
        return _array_png(image)
    raise Invalid(f"an image of type {type(image).__name__}: give a matplotlib figure, a PIL image or an array")


def _saved(save: Any) -> bytes:
    target = io.BytesIO()
    save(target, format="png")
    return target.getvalue()


def _array_png(image: Any) -> bytes:
    try:
        import numpy as np
    except ImportError:
        raise Invalid("an image as an array needs numpy: install it, or give a PIL image") from None
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[2] not in _COLOUR_TYPES and array.shape[0] in _COLOUR_TYPES:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in _COLOUR_TYPES or not 0 < max(array.shape) <= _MAX_SIDE_PIXELS:
        raise Invalid(f"an image of shape {array.shape}: give [height, width] or [height, width, 1 to 4 channels]")
    if not array.size:
        raise Invalid(f"an image of shape {array.shape} has no pixels")
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255 + 0.5
    elif array.dtype.kind == "b":
        array = array * 255
    elif array.dtype.kind in "iu":
        array = array.clip(0, 255)
    else:
        raise Invalid(f"an image of {array.dtype}: give integers 0..255 or floats 0..1")
    height, width, channels = array.shape
    pixels = array.astype(np.uint8)
    # Every line of a PNG begins with the number of its filter; 0 is none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * channels)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(lines.tobytes(), 6)
    return _PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
