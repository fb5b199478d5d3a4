"""Picture files as a viewer shows them: turned, on white, of their own depth; others as ever."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.statics.decoding import decode_picture

PATH = Path("a/1.jpg")


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def shown(data: bytes) -> tuple[NDArray[np.uint8], list[str]]:
    """Pixels of a file, and the kinds of the remarks made on it."""
    with hearing() as heard:
        picture = decode_picture(data, PATH)
    assert picture.mode == "RGB"
    return np.asarray(picture), [each.kind for each in heard]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png16(values: NDArray[np.uint16], colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits; ``colour`` is 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(
    data: bytes,
    shape: tuple[int, ...],
    bits: int,
    *,
    order: str = "<",
    photometric: int,
    packing: int,
) -> bytes:
    """A TIFF of one strip, made from its description."""
    height, width, samples = (*shape, 1)[:3]
    start = 8 + 2 + 12 * 9 + 4
    entries = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, packing)]
    entries += [(262, 3, photometric), (273, 4, start + 8), (277, 3, samples), (278, 3, height)]
    entries += [(279, 4, len(data))]
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, value in entries:
        count = samples if tag == 258 else 1
        if tag == 258 and samples > 2:
            field = struct.pack(f"{order}I", start)
        else:
            field = (
                struct.pack(f"{order}HH", value, 0)
                if kind == 3
                else struct.pack(f"{order}I", value)
            )
        out += struct.pack(f"{order}HHI", tag, kind, count) + field
    out += struct.pack(f"{order}I", 0) + struct.pack(f"{order}4H", *[bits] * 4)
    return out + data


# what has been right stays as it is


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
def test_plain_pictures_keep_their_bytes(format: str, shape: tuple[int, ...]) -> None:
    data = encoded(Image.fromarray(noise(*shape)), format)
    with Image.open(io.BytesIO(data)) as picture:
        expected = np.asarray(picture.convert("RGB"))
    pixels, kinds = shown(data)
    np.testing.assert_array_equal(pixels, expected)
    assert kinds == []


def test_an_opaque_alpha_changes_nothing() -> None:
    pixels = noise(9, 9, 4)
    pixels[..., 3] = 255
    found, kinds = shown(encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(found, pixels[..., :3])
    assert kinds == []


# orientation

TURNED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}
"""What makes a picture upright, from the EXIF standard: 6 is turned a quarter clockwise."""


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", TURNED)
def test_orientation(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    blocks = noise(2, 3, 3, seed=4).repeat(16, 0).repeat(16, 1)
    data = encoded(Image.fromarray(blocks), format, exif=exif, **options)
    found, kinds = shown(data)
    expected = TURNED[orientation](blocks)
    assert found.shape == expected.shape
    tolerance = 40 if format == "JPEG" else 0
    assert np.abs(found.astype(int) - expected)[8::16, 8::16].max() <= tolerance
    assert kinds == []


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = noise(4, 6, 3)
    found, _ = shown(encoded(Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(found, pixels)


def test_damaged_exif_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Image.Image) -> Image.Exif:
        raise struct.error("unpack requires a buffer of 2 bytes")

    pixels = noise(4, 6, 3)
    data = encoded(Image.fromarray(pixels))
    monkeypatch.setattr(Image.Image, "getexif", broken)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.getexif", broken)
    found, kinds = shown(data)
    np.testing.assert_array_equal(found, pixels)
    assert kinds == ["orientation"]


# transparency


def test_colours_below_alpha_0_are_white() -> None:
    pixels = np.array([[[200, 0, 0, 0], [9, 8, 7, 255], [0, 0, 0, 51]]], np.uint8)
    found, kinds = shown(encoded(Image.fromarray(pixels)))
    assert found.tolist() == [[[255, 255, 255], [9, 8, 7], [204, 204, 204]]]
    assert kinds == ["alpha"]


def test_grey_with_alpha() -> None:
    pixels = np.array([[[90, 0], [90, 255]]], np.uint8)
    found, kinds = shown(encoded(Image.fromarray(pixels, "LA")))
    assert found[..., 0].tolist() == [[255, 90]]
    assert kinds == ["alpha"]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_entry_of_a_palette(format: str) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])
    found, kinds = shown(encoded(picture, format, transparency=1))
    assert found.tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert kinds == ["alpha"]


def test_a_transparent_colour_and_a_transparent_grey() -> None:
    colours = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert shown(encoded(colours, transparency=(4, 5, 6)))[0].tolist() == [
        [[1, 2, 3], [255, 255, 255]]
    ]
    grey = Image.fromarray(np.array([[7, 8]], np.uint8))
    assert shown(encoded(grey, transparency=8))[0][..., 0].tolist() == [[7, 255]]
    deep = np.array([[40_000, 50_000]], np.uint16)
    data = png16(deep, 0, (b"tRNS", struct.pack(">H", 50_000)))
    found, kinds = shown(data)
    assert found[..., 0].tolist() == [[40_000 >> 8, 255]]
    assert kinds == ["alpha"]


# 10, 12 and 16 bits

RAMP = np.linspace(0, 1, 24).reshape(4, 6)


@pytest.mark.parametrize(("bits", "kinds"), [(10, ["depth"]), (12, ["depth"]), (16, [])])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("format", ["png", "tiff <", "tiff >"])
def test_fewer_bits_in_16(bits: int, kinds: list[str], channels: int, format: str) -> None:
    values = np.rint(RAMP * ((1 << bits) - 1)).astype(np.uint16)
    image = values if channels == 1 else np.stack([values, values[::-1], values // 2], axis=2)
    if format == "png":
        data = png16(image, 0 if channels == 1 else 2)
    else:
        order = format[-1]
        pixels = image.astype(f"{order}u2").tobytes()
        photometric = 1 if channels == 1 else 2
        data = tiff(pixels, image.shape, 16, order=order, photometric=photometric, packing=1)
    found, heard = shown(data)
    expected = (image >> (bits - 8)).astype(np.uint8)
    np.testing.assert_array_equal(found, expected if channels == 3 else np.dstack([expected] * 3))
    assert found.max() == 255
    assert heard == kinds


@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_colours_of_fewer_bits(order: str) -> None:
    values = np.rint(np.dstack([RAMP, RAMP[::-1], RAMP]) * 4095).astype(f"{order}u2")
    data = zlib.compress(values.tobytes())
    found, kinds = shown(tiff(data, values.shape, 16, order=order, photometric=2, packing=8))
    np.testing.assert_array_equal(found, (values >> 4).astype(np.uint8))
    assert kinds == ["depth"]


def test_alpha_of_16_bits_and_fewer_bits_below_it() -> None:
    values = np.zeros((1, 2, 4), np.uint16)
    values[0] = [[4095, 16, 0, 65535], [4095, 16, 0, 0]]
    found, kinds = shown(png16(values, 6))
    assert found.tolist() == [[[255, 1, 0], [255, 255, 255]]]
    assert kinds == ["depth", "alpha"]


def test_dark_grey_with_alpha_of_16_bits_is_noted() -> None:
    """Pillow gives its upper eight bits alone, which might be all it has, or not."""
    values = np.full((1, 2, 2), (4095, 65535), np.uint16)
    found, kinds = shown(png16(values, 4))
    assert found.max() == 4095 >> 8
    assert kinds == ["dark"]


def test_black_pictures_are_black() -> None:
    for channels in (1, 3):
        shape = (2, 2) if channels == 1 else (2, 2, 3)
        found, kinds = shown(png16(np.zeros(shape, np.uint16), 0 if channels == 1 else 2))
        assert not found.any()
        assert kinds == []


def test_twelve_bits_that_the_file_itself_names() -> None:
    """Two pixels in three bytes, and no doubt about a dark one."""
    data = bytes.fromhex("fff 010 080 000".replace(" ", ""))
    found, kinds = shown(tiff(data, (1, 4), 12, photometric=1, packing=1))
    assert found[..., 0].tolist() == [[255, 1, 8, 0]]
    assert kinds == []
    data = bytes.fromhex("100 010 080 000".replace(" ", ""))
    assert shown(tiff(data, (1, 4), 12, photometric=1, packing=1))[0][..., 0].tolist() == [
        [16, 1, 8, 0]
    ]


def test_sixteen_bits_with_white_as_zero() -> None:
    values = np.array([[0, 65535, 256]], "<u2")
    found, _ = shown(tiff(values.tobytes(), (1, 3), 16, photometric=0, packing=1))
    assert found[..., 0].tolist() == [[255, 0, 254]]


# several pictures


@pytest.mark.parametrize("format", ["GIF", "TIFF", "WEBP", "PNG", "MPO"])
def test_of_several_pictures_the_first_is_taken_and_noted(format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    found, kinds = shown(data)
    np.testing.assert_allclose(found[8, 8], [255, 0, 0], atol=3)
    assert kinds == ["frames"]


def test_one_picture_in_such_a_format_is_not_noted() -> None:
    for format in ("GIF", "TIFF", "WEBP", "PNG"):
        assert shown(encoded(Image.new("RGB", (4, 4), "red"), format))[1] == []


def test_ink() -> None:
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for format in ("JPEG", "TIFF"):
        found, kinds = shown(encoded(ink, format))
        assert found[4, 4, 0] > 245
        assert found[4, 4, 1:].max() < 10
        assert kinds == []
