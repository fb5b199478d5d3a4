"""Static images: planes, modes, MNIST's files, and everything that can be wrong with them."""

import contextlib
import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from snntx.data_cards import load_card
from snntx.data_cards.found import StaticFiles
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.statics.decoding import decode_picture
from snntx.preprocess.statics.images import StaticImage, by_class, list_statics, planes_of, read_idx

MNIST = StaticFiles("mnist", twin="{split}/{number}", fit="pad")
NAME = StaticImage("a/1", "a", Path("a/1.jpg"))


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx(values: NDArray[np.uint8], magic: int) -> bytes:
    """An IDX file, composed from its description."""
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


def write_mnist(
    folder: Path, prefix: str, images: NDArray[np.uint8], labels: list[int], gz: bool = False
) -> None:
    for name, data in (
        (f"{prefix}images-idx3-ubyte", idx(images, 0x803)),
        (f"{prefix}labels-idx1-ubyte", idx(np.array(labels, np.uint8), 0x801)),
    ):
        path = folder / (f"{name}.gz" if gz else name)
        path.write_bytes(gzip.compress(data) if gz else data)


# photographs


def test_planes_are_r_g_b() -> None:
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    picture = decode_picture(encoded(Image.fromarray(pixels)), NAME.path)
    planes = planes_of(picture, (1, 2), "stretch", NAME)
    assert planes.dtype == np.uint8
    assert planes.tolist() == [[[1, 4]], [[2, 5]], [[3, 6]]]


@pytest.mark.parametrize(("height", "width"), [(30, 40), (101, 37), (48, 48), (3, 200)])
def test_stretch_is_pillows_bilinear_before_any_channel_is_taken(height: int, width: int) -> None:
    pixels = noise(height, width, 3)
    picture = decode_picture(encoded(Image.fromarray(pixels)), NAME.path)
    planes = planes_of(picture, (48, 32), "stretch", NAME)
    resized = Image.fromarray(pixels).resize((32, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(planes, np.asarray(resized).transpose(2, 0, 1))
    assert planes.flags.c_contiguous
    # the method's V of HSV is then the largest plane, as Pillow's own HSV has it
    np.testing.assert_array_equal(planes.max(axis=0), np.asarray(resized.convert("HSV"))[..., 2])
    # which is not what resizing V would give
    v_first = Image.fromarray(pixels.max(axis=2)).resize((32, 48), Image.Resampling.BILINEAR)
    if (height, width) != (48, 48):
        assert (planes.max(axis=0) != np.asarray(v_first)).any()


def test_grey_gives_three_equal_planes() -> None:
    pixels = noise(5, 6)
    picture = decode_picture(encoded(Image.fromarray(pixels)), NAME.path)
    assert np.asarray(picture).tolist() == np.stack([pixels] * 3, axis=-1).tolist()


def test_grey_of_16_bits_is_scaled_not_clipped() -> None:
    picture = decode_picture(
        encoded(Image.fromarray(np.array([[0, 255, 256, 40000, 65535]], np.uint16))), NAME.path
    )
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 1, 156, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(mode: str) -> None:
    data = encoded(Image.new(mode, (3, 3), 70000), "TIFF")
    with pytest.raises(BadFileError, match=r"a/1\.jpg: 32-bit pixels"):
        decode_picture(data, NAME.path)


def test_one_bit_palette_and_alpha() -> None:
    bits = decode_picture(encoded(Image.new("1", (2, 2), 1)), NAME.path)
    assert np.unique(np.asarray(bits)).tolist() == [255]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([1, 0])
    assert np.asarray(decode_picture(encoded(palette), NAME.path)).tolist() == [
        [[40, 50, 60], [10, 20, 30]]
    ]
    alpha = Image.new("RGBA", (1, 1), (9, 8, 7, 128))  # laid on white: 255 + (9 - 255) * 128 / 255
    assert decode_picture(encoded(alpha), NAME.path).getpixel((0, 0)) == (132, 131, 131)


def test_cmyk_jpeg() -> None:
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    picture = decode_picture(encoded(ink, "JPEG"), NAME.path)
    assert picture.mode == "RGB"
    red, green, blue = np.asarray(picture)[4, 4].tolist()
    assert red > 245
    assert max(green, blue) < 10


def test_animation_gives_its_first_picture() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_picture(data, NAME.path).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damage_is_always_one_kind_of_error(format: str) -> None:
    data = encoded(Image.fromarray(noise(24, 32, 3)), format)
    rng = np.random.default_rng(1)
    refused = 0
    for trial in range(60):
        damaged = bytearray(data)
        if trial % 2:
            del damaged[int(rng.integers(1, len(data))) :]
        else:
            for at in rng.integers(0, min(len(data), 100), 4):
                damaged[at] = int(rng.integers(256))
        with contextlib.suppress(BadFileError):  # any other error fails
            decode_picture(bytes(damaged), NAME.path)
            continue
        refused += 1
    assert refused > 10


def test_empty_and_foreign_bytes() -> None:
    for data in (b"", b"not a picture", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(BadFileError, match=r"a/1\.jpg: not a readable picture"):
            decode_picture(data, NAME.path)


def test_a_page_that_was_downloaded_as_a_picture_is_told() -> None:
    for page in (b"<!DOCTYPE html><title>404</title>", b"Not found, says the server. " * 20):
        with pytest.raises(BadFileError, match=r"a/1\.jpg: is text .*, expected a picture; a down"):
            decode_picture(page, NAME.path)


def test_truncated_jpeg() -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), "JPEG")
    with pytest.raises(BadFileError, match=r"not a readable picture: .*truncated"):
        decode_picture(data[: len(data) // 2], NAME.path)


def bitmap_header(side: int) -> bytes:
    """A BMP that claims to be ``side`` pixels wide and high, with no pixels."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, side, side, 1, 24, *[0] * 6)


@pytest.mark.parametrize(("side", "message"), [(11_000, "11000 x 11000"), (60_000, "exceeds")])
def test_absurdly_large_is_refused_before_it_is_decoded(side: int, message: str) -> None:
    with pytest.raises(BadFileError, match=message):
        decode_picture(bitmap_header(side), NAME.path)


def test_list_photographs(tmp_path: Path) -> None:
    for name in ("b/image_0001.jpg", "a c/image_0002.JPG"):
        path = tmp_path / "101_ObjectCategories" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"never opened by the listing")
    spec = load_card("n-caltech101").static
    assert spec is not None
    listed = list_statics(spec, tmp_path)
    assert [(i.identity, i.class_name) for i in listed.images] == [
        ("a c/image_0002", "a c"),
        ("b/image_0001", "b"),
    ]
    assert listed.planes == ("R", "G", "B")
    assert sorted(listed.files) == ["a c/image_0002.JPG", "b/image_0001.jpg"]
    assert by_class(listed.images) == {"a c": [0], "b": [1]}


@pytest.mark.real
def test_real_photographs(real: Path) -> None:
    spec = load_card("n-caltech101").static
    assert spec is not None
    listed = list_statics(spec, real / "caltech101")
    assert len(listed.images) == 15
    assert listed.images[0].identity == "airplanes/image_0001"
    for image in listed.images:
        picture = decode_picture(image.path.read_bytes(), image.path)
        planes = planes_of(picture, (48, 48), "stretch", image)
        with Image.open(image.path) as opened:
            resized = opened.convert("RGB").resize((48, 48), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(planes, np.asarray(resized).transpose(2, 0, 1))
        assert planes.std() > 5


# MNIST


def test_pad_is_centred_on_black() -> None:
    pixels = noise(28, 28) | 1
    planes = planes_of(Image.fromarray(pixels), (34, 34), "pad", NAME)
    assert planes.shape == (1, 34, 34)
    np.testing.assert_array_equal(planes[0, 3:31, 3:31], pixels)
    assert planes.astype(int).sum() == pixels.astype(int).sum()


def test_pad_never_crops() -> None:
    with pytest.raises(BadFileError, match=r"a/1 of 28 x 28 pixels does not fit .* 34 x 27"):
        planes_of(Image.fromarray(noise(28, 28)), (34, 27), "pad", NAME)


@pytest.mark.parametrize("gz", [False, True])
def test_mnist_identities(tmp_path: Path, gz: bool) -> None:
    train, test, loose = noise(3, 28, 28), noise(2, 28, 28, seed=1), noise(1, 28, 28, seed=2)
    write_mnist(tmp_path, "train-", train, [5, 0, 4], gz)
    write_mnist(tmp_path, "t10k-", test, [7, 2], gz)
    write_mnist(tmp_path, "", loose, [9], gz)
    listed = list_statics(MNIST, tmp_path)
    assert [(i.identity, i.class_name) for i in listed.images] == [
        ("Test/00001", "7"),
        ("Test/00002", "2"),
        ("Train/00001", "5"),
        ("Train/00002", "0"),
        ("Train/00003", "4"),
        ("Unpaired/00001", "9"),
    ]
    for image, pixels in zip(listed.images, [*test, *train, *loose], strict=True):
        assert image.pixels is not None
        np.testing.assert_array_equal(image.pixels, pixels)
    assert listed.planes == ("L",)
    assert len(listed.files) == 6


@pytest.mark.parametrize("place", [".", "MNIST/raw", "raw"])
@pytest.mark.parametrize("gz", [False, True])
def test_mnist_by_its_dotted_names_and_in_the_folder_of_torchvision(
    tmp_path: Path, place: str, gz: bool
) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    write_mnist(folder, "train-", noise(3, 28, 28), [5, 0, 4], gz)
    expected = list_statics(MNIST, folder)
    names = {path.name: path for path in folder.iterdir()}
    assert [*list_statics(MNIST, tmp_path).files] == [
        (path.relative_to(tmp_path)).as_posix() for path in (names[n] for n in expected.files)
    ]
    for name, path in names.items():
        path.rename(folder / name.replace("-idx", ".idx"))
    listed = list_statics(MNIST, tmp_path)
    found = [(i.identity, i.class_name) for i in listed.images]
    assert found == [(i.identity, i.class_name) for i in expected.images]
    assert all(".idx" in name for name in listed.files)


def test_csv_twins(tmp_path: Path) -> None:
    pixels = noise(2, 28, 28)
    lines = [",".join(map(str, [label, *p.ravel()])) for label, p in zip("50", pixels, strict=True)]
    (tmp_path / "train_first_100.csv").write_text("\n".join(lines) + "\n")
    first, second = list_statics(MNIST, tmp_path).images
    assert (first.identity, first.class_name) == ("Train/00001", "5")
    assert (second.identity, second.class_name) == ("Train/00002", "0")
    assert second.pixels is not None
    np.testing.assert_array_equal(second.pixels, pixels[1])


def test_csv_gives_way_to_the_official_file(tmp_path: Path) -> None:
    official = noise(1, 28, 28)
    write_mnist(tmp_path, "train-", official, [5])
    (tmp_path / "train_first_100.csv").write_text("\n".join(",".join(["5"] * 785) for _ in "ab"))
    first, second = list_statics(MNIST, tmp_path).images
    assert first.pixels is not None
    assert second.pixels is not None
    np.testing.assert_array_equal(first.pixels, official[0])
    assert (second.pixels == 5).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,pixel\n", "row 1 has 2 values, expected a label and 784 pixels"),
        (",".join(["1"] * 785) + "\n" + ",".join(["1"] * 784), "row 2 has 784 values"),
        (",".join(["1"] * 784 + ["256"]), "row 1 holds 256, expected 0 to 255"),
        (",".join(["1"] * 784 + ["-1"]), "all whole numbers"),
        (",".join(["1"] * 784 + ["0.5"]), "all whole numbers"),
        ("\ufeffx" + ",".join(["1"] * 785), "row 1 has 785 values"),
    ],
)
def test_bad_csv(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "train_first_100.csv").write_text(content, encoding="utf-8")
    with pytest.raises(BadFileError, match=rf"train_first_100\.csv: .*{message}"):
        list_statics(MNIST, tmp_path)


def test_missing_half_of_a_pair(tmp_path: Path) -> None:
    write_mnist(tmp_path, "train-", noise(1, 28, 28), [5])
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match=r"train-labels-idx1-ubyte\[\.gz\] is missing beside"):
        list_statics(MNIST, tmp_path)


def test_counts_that_differ(tmp_path: Path) -> None:
    write_mnist(tmp_path, "train-", noise(3, 28, 28), [5, 6])
    with pytest.raises(BadFileError, match="3 images, but 2 labels"):
        list_statics(MNIST, tmp_path)


def test_no_mnist_at_all(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    with pytest.raises(UsageError, match="no MNIST file found; expected train-images-idx3-ubyte"):
        list_statics(MNIST, tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        list_statics(MNIST, tmp_path / "none")


GOOD = idx(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), 0x803)


def test_idx_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(
        bytes.fromhex("00000803 00000002 00000001 00000003") + bytes([1, 2, 3, 4, 5, 6])
    )
    assert read_idx(path, 0x803, 3).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (GOOD[:7], "7 bytes, expected at least the 16-byte IDX header"),
        (b"\0\0\x08\x01" + GOOD[4:], "magic number 2049, expected 2051"),
        (b"\x03\x08\0\0" + GOOD[4:], "magic number 50855936"),
        (GOOD[:-1], "11 bytes after the header, expected 3 x 2 x 2 = 12"),
        (GOOD + b"\0", "13 bytes after the header, expected 3 x 2 x 2 = 12"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "expected 4294967295 x 4294967295 x 4294967295"),
    ],
)
def test_bad_idx(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(BadFileError, match=rf"/images: .*{message}"):
        read_idx(path, 0x803, 3)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    whole = gzip.compress(idx(noise(20, 10, 10), 0x803), mtime=0)
    for cut in (1, 5, 12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadFileError, match=r"images\.gz: not a whole gzip file"):
            read_idx(path, 0x803, 3)
    refused = 0
    for at in range(10, len(whole), 7):  # past the header, every byte is data or checksum
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(BadFileError, match=r"images\.gz"):
            read_idx(path, 0x803, 3)
        refused += 1
    assert refused > 100


@pytest.mark.real
def test_real_mnist(real: Path) -> None:
    listed = list_statics(MNIST, real / "mnist")
    twins = [image for image in listed.images if image.identity.startswith("Train/")]
    others = [image for image in listed.images if image.identity.startswith("Unpaired/")]
    assert (len(twins), len(others), len(listed.images)) == (100, 9900, 10000)
    # the first training digits of MNIST, as everyone knows them
    assert "".join(image.class_name for image in twins[:10]) == "5041921314"
    assert all(image.pixels is not None and image.pixels.shape == (28, 28) for image in twins)
    assert set(by_class(others)) == set("0123456789")
