"""Pictures of every form: the PNG is decoded again and its values are compared, or the guess is told."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image, ImageCms

import runstream as rs
from kit.examples import examples
from runstream.client.content.images import png_bytes
from runstream.errors import Invalid

SHAPES = [
    (5, 6),
    (5, 6, 1),
    (5, 6, 2),
    (5, 6, 3),
    (5, 6, 4),
    (1, 5, 6),
    (3, 5, 6),
    (4, 5, 6),
    (1, 1, 5, 6),
    (1, 3, 5, 6),
]
RANGES = {"unit": (0.0, 1.0), "bytes": (0.0, 255.0), "signed": (-1.0, 1.0), "other": (-400.0, 3000.0)}
FLOATS = ["f2", "f4", "f8", "g", ">f4", "f4 strided"]
INTEGERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">i2", ">u2"]


def decoded(image: Any) -> Any:
    return np.asarray(Image.open(io.BytesIO(png_bytes(image).png)))


def as_rows(array: Any) -> Any:
    """As [height, width] or [height, width, channels], the way in which PIL gives it back."""
    while array.ndim > 3:
        array = array[0]
    if array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4):
        array = array.transpose(1, 2, 0)
    return array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array


def sample(shape: tuple[int, ...], low: float, high: float, seed: int) -> Any:
    values = np.random.default_rng(seed).uniform(low, high, shape)
    values.reshape(-1)[:2] = low, high
    return values


@settings(deadline=None, max_examples=examples(200))
@given(st.sampled_from(FLOATS), st.sampled_from(SHAPES), st.sampled_from(sorted(RANGES)), st.integers(0, 99))
def test_floats_of_every_range(kind: str, shape: tuple[int, ...], name: str, seed: int) -> None:
    low, high = RANGES[name]
    image = sample(shape, low, high, seed).astype(kind.split()[0])
    rows = as_rows(image.astype("f8"))
    if rows.ndim == 3 and rows.shape[2] in (2, 4):  # opacity has a range of its own
        rows[:, :, -1].reshape(-1)[:2] = low, high
        rows[0, 0, 0], rows[0, 1, 0] = low, high
        image = rows.astype(kind.split()[0])
        rows = image.astype("f8")
    if "strided" in kind:
        image = np.repeat(image, 2, axis=-1)[..., ::2]
    picture = png_bytes(image)
    found = decoded(image).astype(int)
    assert np.abs(found - (rows - low) / (high - low) * 255).max() <= 1
    assert bool(picture.remark) == (name != "unit")
    if picture.remark:
        assert f"values from {low:g} to {high:g}" in picture.remark


@settings(deadline=None, max_examples=examples(200))
@given(st.sampled_from(INTEGERS), st.sampled_from(SHAPES), st.integers(0, 99))
def test_integers_of_every_type(kind: str, shape: tuple[int, ...], seed: int) -> None:
    limits = np.iinfo(kind)
    small = sample(shape, 0, min(limits.max, 255), seed).astype(kind)
    assert np.array_equal(decoded(small), as_rows(small))
    assert not png_bytes(small).remark
    low, high = max(limits.min, -1000), min(limits.max, 100_000)
    wide = as_rows(sample((1, 5, 6), low, high, seed).astype(kind))
    found = decoded(wide)
    if low >= 0 and high <= 65535:
        assert np.array_equal(found, wide)
    else:
        assert np.abs(found - (wide.astype("f8") - low) / (high - low) * 255).max() <= 1
        assert "stretched" in png_bytes(wide).remark or "-1..1" in png_bytes(wide).remark


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_kept(channels: int) -> None:
    array = (np.arange(4 * 5 * channels, dtype=np.uint16) * 800).reshape(4, 5, channels)
    data = png_bytes(array).png
    assert data[24] == 16, "bits of a channel in the header"
    import struct
    import zlib

    at, packed = 8, b""
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        packed += data[at + 8 : at + 8 + size] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += size + 12
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(4, 1 + 5 * channels * 2)
    assert np.array_equal(lines[:, 1:].copy().view(">u2").reshape(4, 5, channels), array)


def test_whole_floats_of_bytes_are_not_a_guess() -> None:
    image = np.arange(256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(decoded(image), image)
    assert not png_bytes(image).remark


def test_overshoot_is_cut_and_told() -> None:
    image = np.array([[-0.02, 0.5, 1.03]])
    assert decoded(image).tolist() == [[0, 128, 255]]
    assert "were taken as 0..1" in png_bytes(image).remark


def test_what_is_not_finite_is_told() -> None:
    image = np.array([[np.nan, np.inf, -np.inf, 0.5, 1.0, 0.0]])
    assert decoded(image).tolist() == [[0, 255, 0, 128, 255, 0]]
    assert "3 values are NaN or infinite" in png_bytes(image).remark
    assert decoded(np.full((2, 2), np.nan)).tolist() == [[0, 0], [0, 0]]
    huge = np.array([[-1.7e308, 0.0, 1.7e308]])
    assert decoded(huge).tolist() == [[0, 128, 255]]
    assert decoded(np.full((2, 2), 3e9)).tolist() == [[0, 0], [0, 0]]


def test_masks_and_opacity() -> None:
    assert decoded(np.array([[True, False]])).tolist() == [[255, 0]]
    rgba = np.zeros((1, 2, 4))
    rgba[:, :, :3], rgba[:, :, 3] = [[[-1, 0, 1], [1, 1, 1]]], [[1.0, 0.5]]
    assert decoded(rgba).tolist() == [[[0, 128, 255, 255], [255, 255, 255, 128]]]


class Bfloat:
    """Reads as a tensor of torch whose type numpy does not have."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def detach(self) -> "Bfloat":
        return self

    def cpu(self) -> "Bfloat":
        return self

    def numpy(self) -> Any:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Any:
        values = self._values

        class Single:
            def numpy(self) -> Any:
                return np.asarray(values, np.float32)

        return Single()


def test_types_that_numpy_does_not_have() -> None:
    assert decoded(Bfloat([[0.0, 0.5, 1.0]])).tolist() == [[0, 128, 255]]
    assert decoded(np.array([[0.0, 1.0]], dtype=object)).tolist() == [[0, 255]]
    assert decoded([[0, 128], [255, 1]]).tolist() == [[0, 128], [255, 1]]


NO_PICTURES: dict[str, Any] = {
    "seven channels": np.zeros((5, 5, 7)),
    "four axes": np.zeros((2, 5, 5, 3)),
    "one axis": np.zeros(7),
    "no axis": np.float64(3),
    "no rows": np.zeros((0, 4)),
    "complex": np.zeros((2, 2), complex),
    "times": np.zeros((2, 2), "M8[s]"),
    "texts": np.zeros((2, 2), "U3"),
    "records": np.zeros((2, 2), [("r", "u1")]),
    "objects": np.array([[object()]]),
    "an object": object(),
}


@pytest.mark.parametrize("image", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_refused_with_what_to_give(image: Any) -> None:
    with pytest.raises(Invalid, match="give "):
        png_bytes(image)


def expected(image: Image.Image) -> Any:
    """What PIL's own conversion makes of it."""
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        assert made is not None
        return np.asarray(made)
    if image.mode in ("RGBa", "PA"):
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("LA") if image.mode == "La" else image.convert("RGB"))


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]


@settings(deadline=None, max_examples=examples(150))
@given(st.sampled_from(MODES), st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_mode_of_pil(mode: str, width: int, height: int, random: Any) -> None:
    source = Image.frombytes("RGBA", (width, height), random.randbytes(width * height * 4))
    if mode in ("LAB", "PA", "La"):
        channels = len(Image.new(mode, (1, 1)).getbands())
        image = Image.frombytes(mode, (width, height), random.randbytes(width * height * channels))
    else:
        image = source.convert("RGB").convert(mode) if mode in ("YCbCr", "HSV") else source.convert(mode)
    image.info["icc_profile"] = b"the profile of a printer" if mode == "CMYK" else None
    png = Image.open(io.BytesIO(png_bytes(image).png))
    assert "icc_profile" not in png.info
    found = png if mode in ("La", "LA", "RGBA", "RGBa", "PA") else png.convert("RGB")
    if mode in ("LA", "RGBA"):
        assert np.array_equal(np.asarray(found), np.asarray(image))
    else:
        assert np.array_equal(np.asarray(found.convert("RGBA") if mode == "PA" else found), expected(image))


@pytest.mark.parametrize("mode", ["F", "I", "I;16", "I;16B"])
def test_modes_of_pil_with_numbers(mode: str) -> None:
    values = np.array([[0, 10, 255], [7, 100, 200]])
    if mode.startswith("I;16"):
        image = Image.frombytes(mode, (3, 2), (values * 256).astype(">u2" if mode == "I;16B" else "<u2").tobytes())
        assert np.array_equal(decoded(image), values * 256)
    else:
        image = Image.fromarray(values.astype(np.float32 if mode == "F" else np.int32))
        assert image.mode == mode
        assert np.array_equal(decoded(image), values)


def test_figures_and_axes() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    assert decoded(figure).shape == decoded(axes).shape


@pytest.fixture
def run(tmp_path: Path) -> Any:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    return rs.init(mode="offline", dir=tmp_path / "spool", **quiet)


def test_names_and_types(run: Any, read: Callable[[Path], Any], tmp_path: Path) -> None:
    files = {}
    for ending in ("jpg", "gif", "bmp", "webp", "tiff", "png"):
        target = io.BytesIO()
        Image.new("RGB", (2, 2)).save(target, {"jpg": "JPEG"}.get(ending, ending))
        files[ending] = target.getvalue()
        (tmp_path / f"pic.{ending}").write_bytes(files[ending])
    array = np.zeros((2, 2))
    for image, name in [
        (tmp_path / "pic.jpg", None),
        (str(tmp_path / "pic.webp"), None),
        (tmp_path / "pic.jpg", "val/sample"),
        (files["jpg"], None),
        (bytearray(files["gif"]), None),
        (io.BytesIO(files["webp"]), None),
        (files["tiff"], "x"),
        ((tmp_path / "pic.bmp").open("rb"), None),
        (array, None),
        (array, "sample"),
        (array, "x.jpg"),
        (array, tmp_path / "made.png"),
    ]:
        assert run.log_image(image, name) is not None
    found = [
        (one["name"], one["content_type"], one["kind"]) for one in read(run.spool_folder).of_type("asset_logged.v1")
    ]
    assert [(name.removeprefix(f"{tmp_path}/"), kind) for name, kind, _ in found] == [
        ("pic.jpg", "image/jpeg"),
        ("pic.webp", "image/webp"),
        ("val/sample", "image/jpeg"),
        ("image.jpg", "image/jpeg"),
        ("image.gif", "image/gif"),
        ("image.webp", "image/webp"),
        ("x", "image/tiff"),
        ("pic.bmp", "image/bmp"),
        ("image.png", "image/png"),
        ("sample", "image/png"),
        ("x.jpg", "image/png"),
        ("made.png", "image/png"),
    ]
    assert {kind for _, _, kind in found} == {"image"}


def test_a_guess_is_told_once(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    for step in range(3):
        assert run.log_image(np.linspace(-1, 1, 30).reshape(5, 6), "sample.png", step=step) is not None
    told = [record.getMessage() for record in caplog.records if "taken as -1..1" in record.getMessage()]
    assert len(told) == 1
    assert "image 'sample.png' of float64: values from -1 to 1" in told[0]
