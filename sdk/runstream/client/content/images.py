"""Pictures as PNG: from matplotlib, PIL, numpy, torch and the like, none of which is needed to import this."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runstream.client.content.pixels import png_of_array
from runstream.errors import Invalid

#: What PIL turns each of its modes into that PNG does not have. Numbers of one channel are read as an array.
_CONVERTED: Final = {
    "CMYK": "RGB",
    "HSV": "RGB",
    "YCbCr": "RGB",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "La": "LA",
    "PA": "RGBA",
}
_NUMBERS: Final = ("F", "I")
#: How image files begin, and the ending and type that they have.
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png", "image/png"),
    (b"\xff\xd8\xff", ".jpg", "image/jpeg"),
    (b"GIF8", ".gif", "image/gif"),
    (b"BM", ".bmp", "image/bmp"),
    (b"II*\0", ".tiff", "image/tiff"),
    (b"MM\0*", ".tiff", "image/tiff"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, and what a person should know of how it was made ("" if it is what was given)."""

    png: bytes
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image as `log_asset` takes it. Name and media type are None where the file itself has them."""

    source: Any
    name: str | None = None
    content_type: str | None = None
    remark: str = ""


def image_file(image: Any) -> ImageFile:
    """Return the file that is to be kept of what `log_image` was given. Raises Invalid."""
    if isinstance(image, str | os.PathLike):
        return ImageFile(image)
    if isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
        return ImageFile(data, *image_type(data))
    if callable(getattr(image, "read", None)):
        read = image.read()
        data = read.encode() if isinstance(read, str) else bytes(read)
        found, content_type = image_type(data)
        own = getattr(image, "name", None)
        return ImageFile(data, Path(own).name if isinstance(own, str) else found, content_type)
    picture = png_bytes(image)
    return ImageFile(picture.png, "image.png", "image/png", picture.remark)


def png_bytes(image: Any) -> Picture:
    """Return `image` as PNG: a matplotlib figure or axes, a PIL image of any mode, or an array or tensor of shape
    [height, width], [height, width, channels] or [channels, height, width], of any real numbers.

    Raises Invalid.
    """
    if callable(getattr(image, "get_figure", None)) and not hasattr(image, "savefig"):
        image = image.get_figure()
    if callable(getattr(image, "savefig", None)):
        return Picture(_saved(image.savefig))
    if callable(getattr(image, "save", None)) and hasattr(image, "mode"):
        return _of_pil(image)
    image = on_host(image)
    if hasattr(image, "__array__") or isinstance(image, list | tuple):
        return Picture(*png_of_array(image))
    raise Invalid(f"an image of type {type(image).__name__}: give a matplotlib figure, a PIL image or an array")


def image_type(data: bytes) -> tuple[str, str | None]:
    """Return a name for the bytes of an image file, and its media type if it is known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image.webp", "image/webp"
    for beginning, ending, content_type in _BEGINNINGS:
        if data.startswith(beginning):
            return f"image{ending}", content_type
    return "image", None


def _of_pil(image: Any) -> Picture:
    mode = str(image.mode)
    if mode.startswith(_NUMBERS):
        return Picture(*png_of_array(image))
    try:
        if mode == "LAB":
            image = _from_lab(image)
        elif mode in _CONVERTED:
            image = image.convert(_CONVERTED[mode])
        # A profile belongs to the colours that the image had before.
        profile = {"icc_profile": None} if mode == "LAB" or mode in _CONVERTED else {}
        return Picture(_saved(image.save, **profile))
    except Exception as error:
        raise Invalid(f"an image of PIL mode {mode} cannot be saved ({error}): give image.convert('RGB')") from None


def _from_lab(image: Any) -> Any:
    from PIL import ImageCms

    return ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )


def on_host(image: Any) -> Any:
    """Return an array that numpy reads: a tensor without its gradient, from the memory of its GPU."""
    if hasattr(image, "detach"):
        tensor = image.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # bfloat16 and others that numpy does not have
            return tensor.float().numpy()
    if hasattr(image, "__cuda_array_interface__") and callable(getattr(image, "get", None)):
        return image.get()
    return image


def _saved(save: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    save(target, format="png", **options)
    return target.getvalue()
