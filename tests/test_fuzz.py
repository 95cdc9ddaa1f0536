"Damaged and hostile files: the short form of tests/fuzz.py, and the pictures that chance does not make."
import gzip, io, re, struct, tracemalloc, warnings

import numpy as np
import pytest
import torch
from fuzz import KINDS, fuzz, idx, picture, rechecked
from PIL import Image

from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.files import read_idx



@pytest.mark.parametrize("kind", ["idx", "load", "image"])
def test_damaged_files(kind):
    "Refused with a line that names the file, or read as an independent reader reads them; both happen"
    numbers = [i for i in range(1600) if KINDS[i % len(KINDS)].__name__ == f"check_{kind}" and i != 875]  # 875: see `test_a_small_file_of_many_pixels`
    counts, faults = fuzz(numbers)
    assert not faults
    assert counts[f"{kind} read"] > 10 and counts[f"{kind} refused"] > 10 and sum(counts.values()) == len(numbers)


def test_the_fuzzer_sees_a_fault(monkeypatch):
    "A reader that gives zeros, one that raises what it should not, one that is not ready in time"
    import fuzz as f
    def never(path):
        while True: pass
    def crash(path): raise IndexError("list index out of range")
    monkeypatch.setattr(f, "SECONDS", 0.2)
    for reader, says in [(lambda path: torch.zeros(2, 28, 28, dtype=torch.uint8), "read, but"), (crash, "IndexError"), (never, "no answer")]:
        monkeypatch.setattr(f, "read_idx", reader)
        _, faults = fuzz([0])
        assert len(faults) == 1 and says in faults[0]


@pytest.mark.parametrize("more", [b"\n", b"more", gzip.compress(b"more")], ids=["newline", "text", "packed"])
def test_more_behind_what_is_packed(more, tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(3, np.uint8))) + more)
    with pytest.raises(ValueError, match=re.escape(str(path))): read_idx(path)


@pytest.mark.parametrize("array", [np.zeros((0, 28, 28), np.uint8), np.zeros((4, 0, 28), np.uint8), np.zeros((4, 27, 28), np.uint8)], ids=str)
def test_data_sets_without_a_digit(array, tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(array))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(len(array), np.uint8)))
    with pytest.raises(ValueError, match="expected N×28×28, N at least 1"): load_tensors(False, tmp_path)


def test_a_header_that_promises_the_world(tmp_path):
    "Nothing of that size is asked for"
    for suffix, pack in [("", bytes), (".gz", gzip.compress)]:
        path = tmp_path / f"images{suffix}"
        path.write_bytes(pack(bytes([0, 0, 8, 4]) + b"\xff" * 16 + b"some"))
        with pytest.raises(ValueError, match="more than 1,073,741,824"): read_idx(path)


FORMS = [(form, mode) for form, modes in {"PNG": ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"], "JPEG": ["L", "RGB", "CMYK"], "GIF": ["P"],
                                          "TIFF": ["CMYK", "F", "RGBA"], "WEBP": ["RGB", "RGBA"]}.items() for mode in modes]


@pytest.mark.parametrize("form, mode", FORMS, ids=lambda v: v)
def test_the_same_digit_in_every_form(form, mode, tmp_path):
    "Nearly the same, for JPEG and WebP lose a little"
    path = tmp_path / f"digit.{form.lower()}"
    path.write_bytes(picture(form, mode, 64, 1))
    digit, plain = prepare_image(path), prepare_image(Image.open(io.BytesIO(picture("PNG", "L", 64, 1))))
    assert digit.dtype == torch.uint8 and digit.shape == (1, 28, 28)
    assert (digit.float() - plain.float()).abs().mean() < 4 < plain.float().mean()


def test_a_moving_picture_is_its_first_frame(tmp_path):
    for n in (1, 3): (tmp_path / f"{n}.gif").write_bytes(picture("GIF", "L", 64, n))
    assert Image.open(tmp_path / "3.gif").n_frames == 3
    assert torch.equal(prepare_image(tmp_path / "1.gif"), prepare_image(tmp_path / "3.gif"))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [1, 2])
def test_too_small_for_a_digit(form, size, tmp_path):
    "One colour: there is nothing to see"
    path = tmp_path / f"dot.{form.lower()}"
    Image.new("L", (size, size), 255).save(path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: no digit found")): prepare_image(path)


@pytest.mark.parametrize("what", ["gif", "bmp"])
def test_pillows_own_errors_name_the_file(what, tmp_path):
    data = bytearray(picture(what.upper(), "L", 28, 1))
    if what == "gif": data[data.rindex(b",\0\0\0\0\x1c\0") + 5] = 0  # a frame without a column
    else: data[46:50] = struct.pack("<I", 512)  # more colours than a palette has
    path = tmp_path / f"digit.{what}"
    path.write_bytes(data)
    try: prepare_image(path)  # some older versions of Pillow read it
    except ValueError as e: assert str(path) in str(e)


def bomb(width, height):
    "A PNG of a few bytes that promises many pixels."
    data = bytearray(picture("PNG", "1", 28, 1))
    data[16:24] = struct.pack(">II", width, height)
    return rechecked(data)


@pytest.mark.parametrize("width, height", [(30_000, 30_000), (12_000, 12_000)])
def test_a_small_file_of_many_pixels(width, height, tmp_path, monkeypatch):
    "It is refused before they are made"
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(width, height))
    assert path.stat().st_size < 200
    def made(*_): pytest.fail("the pixels were made")
    monkeypatch.setattr(Image.Image, "load", made)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", made)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=re.escape(str(path))):
        warnings.simplefilter("ignore")
        prepare_image(path)


def test_specks_far_apart():
    image = np.zeros((1000, 1000), np.uint8)
    image[100, 100] = image[900, 900] = 255
    with pytest.raises(ValueError, match="no digit"): prepare_image(image)


def test_a_packed_file_of_much_air_is_read_no_further_than_promised(tmp_path):
    "100 MB of zeros behind a header that promises three bytes"
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(3, np.uint8)) + bytes(10**8), 1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="holds more"): read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally: tracemalloc.stop()
