"Digits from the world: files as people send them, and a generator of kinds."
import io, json, sys, tempfile, time, warnings
from pathlib import Path

import numpy as np
import pictures
import pytest
import torch
from PIL import Image
from conftest import LONG
from warm import command

from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.evaluation import predict
from mnist_cnn.model import AllConvNet
from mnist_cnn.pictures import find_digits, one_digit, show_found
from mnist_cnn.uncertainty import STRANGE, strangeness

X, Y = load_tensors(train=False)
MODEL = AllConvNet.pretrained()
SEVEN = 255 - np.pad(X[0, 0].numpy(), 10).repeat(4, 0).repeat(4, 1)


def read(image):
    p, answer = predict(MODEL, prepare_image(image)[None])[0].max(0)
    return int(answer), float(p)


# Files that were misread, made small: `tests/photos/NAME-is-DIGIT.png`

PHOTOS = sorted((Path(__file__).parent / "photos").iterdir())

def test_there_are_photos(): assert len(PHOTOS) >= 16

@pytest.mark.parametrize("path", PHOTOS, ids=lambda p: p.name)
def test_photos(path):
    expected = path.stem.rsplit("-", 1)[1]
    if expected in ("none", "several"):
        with pytest.raises(ValueError, match="no digit found" if expected == "none" else r"holds 2 digits, at \(\d+"): prepare_image(path)
    else: assert read(path)[0] == int(expected)


# Kinds of pictures

@pytest.fixture(scope="module")
def table():
    "Four test digits of each kind"
    return pictures.read_all(read, X[:, 0].numpy(), Y.numpy(), 4)


def test_kinds(table):
    assert len(table) >= 60
    digits = [v for k, v in table.items() if pictures.KINDS[k][1] == "digit"]
    assert np.mean([right for right, _, _ in digits]) > 0.96
    assert np.mean([sure for _, sure, _ in table.values()]) < 0.012  # of 272 pictures, 3


@pytest.mark.parametrize("kind", [k for k, (_, expected) in pictures.KINDS.items() if expected == "none"])
def test_no_digit_is_never_a_digit(kind, table): assert table[kind][0] == 1


def test_a_photo_in_which_one_pixel_stands_out_from_the_noise():
    "Of this one's negative, a single pixel is left, which cannot be divided into dark and light"
    image, expected = next(pictures.made("noisy_photo", X[:, 0].numpy(), Y.numpy(), 1))
    assert read(image)[0] == expected


def test_every_easy_kind_is_read(table): assert [k for k in pictures.EASY if table[k][0] < 0.75] == []


@pytest.mark.parametrize("read_now", [False, pytest.param(True, marks=pytest.mark.skipif(not LONG, reason="LONG=1: some minutes"))], ids=["stored", "read now"])
def test_the_goals(read_now):
    "Of 20 test digits of each kind: the table that the book shows, and with LONG=1 the same, read again"
    if read_now: found = pictures.summary(pictures.read_all(read, X[:, 0].numpy(), Y.numpy(), 20), 20)
    else: found = json.loads((Path(__file__).parents[1]/"results/pictures.json").read_text(encoding="utf-8"))
    assert set(found["kinds"]) == set(pictures.KINDS) and found["pictures_of_each_kind"] == 20
    assert found["groups"]["all digits"]["right"] >= 0.97 and min(found["kinds"][k]["right"] for k in pictures.EASY) >= 0.9
    assert found["groups"]["all"]["wrong_and_sure"] <= 0.005 and found["groups"]["no digit, or two"]["right"] == 1


def test_ink_that_fills_most_of_the_picture():
    "A digit without a margin, of strokes so broad that hardly any paper is left"
    a = np.full((200, 200), 0.95)
    a[2:198, 2:198], a[50:150, 50:150] = 0.1, 0.95
    with pytest.raises(ValueError, match="fills most of the picture; leave a margin"): prepare_image(a)
    assert read(np.pad(a, 60, constant_values=0.95))[0] == 0


def plainly(a):
    "A digit light on dark, prepared without a look for where it is: all that differs from the edge is ink"
    ink = np.clip((a / a.max() - 0.2) / 0.6, 0, 1)
    rows, cols = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    ink = ink[rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1]
    h, w = [max(1, round(20 * n / max(ink.shape))) for n in ink.shape]
    small = np.asarray(Image.fromarray((255 * ink).astype(np.uint8)).resize((w, h), Image.Resampling.BOX if max(ink.shape) > 20 else Image.Resampling.BICUBIC), dtype=float)
    small *= 255 / small.max()
    top, left = (int(np.clip(round(14 - m @ np.arange(len(m)) / m.sum()), 0, 28 - len(m))) for m in (small.sum(1), small.sum(0)))
    out = torch.zeros(1, 28, 28, dtype=torch.uint8)
    out[0, top:top + h, left:left + w] = torch.from_numpy(small.round().astype(np.uint8))
    return out


def test_digits_of_mnist_are_prepared_plainly():
    "A search for the digit changes nothing where there is nothing but the digit"
    same = [torch.equal(prepare_image(x), plainly(x[0].numpy() / 255)) for x in X[:1000]]
    assert sum(same) >= 997
    page = [np.pad(x[0].numpy(), 10).repeat(4, 0).repeat(4, 1) for x in X[:100]]
    assert sum(torch.equal(prepare_image(a), plainly(a / 255)) for a in page) >= 97


@pytest.mark.parametrize("noise", [0, 0.03])
@pytest.mark.parametrize("ink, paper", [(0.1, 0.9), (0.9, 0.1), (0.5, 0.9)])
def test_the_rim_of_a_blot_is_no_digit(ink, paper, noise):
    "Disks and squares, larger than the window in which the page is looked for"
    rng, page = np.random.default_rng(0), np.full((300, 400), float(paper))
    far = np.abs(np.mgrid[-150:150, -200:200])
    for blot in (np.hypot(*far) < 60, far.max(0) < 45, np.hypot(*far) < 110):
        with pytest.raises(ValueError, match="no digit found"): prepare_image((np.where(blot, ink, page) + rng.normal(0, noise, page.shape)).clip(0, 1))


# What a picture may be

def as_file(image, form, **kw):
    out = io.BytesIO()
    image.save(out, form, **kw)
    return out.getvalue()


PLAIN = Image.fromarray(SEVEN)
COLORED = PLAIN.convert("RGB")
FORMS = {
    "array": SEVEN, "1×H×W": SEVEN[None], "H×W×1": SEVEN[..., None], "H×W×3": np.asarray(COLORED), "H×W×4": np.asarray(COLORED.convert("RGBA")), "tensor": torch.from_numpy(SEVEN), "floats": SEVEN / 255,
    "above 1": SEVEN / 250, "standardized": (SEVEN / 255 - 0.13) / 0.31, "0 to 255": SEVEN.astype(float), "16 bits": SEVEN.astype(np.uint16) * 257, "int64": SEVEN.astype(np.int64), "truth values": SEVEN > 127,
    "bytes": as_file(PLAIN, "PNG"), "open file": io.BytesIO(as_file(PLAIN, "PNG")), "gray": PLAIN, "RGB": COLORED, "RGBA": COLORED.convert("RGBA"), "LA": PLAIN.convert("LA"), "palette": COLORED.quantize(8), "1 bit": PLAIN.convert("1"),
    "CMYK": COLORED.convert("CMYK"), "CMYK in a file": as_file(COLORED.convert("CMYK"), "JPEG"), "LAB": COLORED.convert("YCbCr"), "I;16": Image.fromarray(SEVEN.astype(np.uint16) * 257), "I": PLAIN.convert("I"), "F": PLAIN.convert("F"),
    "tRNS": as_file(PLAIN, "PNG", transparency=255), "tRNS in 16 bits": as_file(Image.fromarray(SEVEN.astype(np.uint16) * 257), "PNG", transparency=65535), "GIF": as_file(PLAIN, "GIF"), "WebP": as_file(COLORED, "WEBP"), "TIFF": as_file(PLAIN, "TIFF")}


@pytest.mark.parametrize("image", FORMS.values(), ids=FORMS)
def test_what_a_picture_may_be(image):
    assert read(image)[0] == 7
    coarse = isinstance(image, bytes) or getattr(image, "mode", "") in ("P", "1") or getattr(image, "dtype", "") == np.dtype(bool)  # few colors
    assert coarse or (prepare_image(image).int() - prepare_image(SEVEN).int()).abs().max() <= 12


def test_groups_hold_every_kind():
    assert sorted(k for names in pictures.GROUPS.values() for k in names.split()) == sorted(pictures.KINDS)


def test_a_picture_that_is_opened_but_damaged():
    "A PIL image is read late: what Pillow says then is an error of ours, too"
    import fuzz
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fuzz.one(12391, 0, Path(folder))
        with Image.open(Path(folder)/"12391.png") as opened, pytest.raises(ValueError, match="the image cannot be read"): prepare_image(opened)


@pytest.mark.parametrize("number", [4691, 12391])
def test_damaged_pictures_that_pillow_opens(number, tmp_path):
    "A TIFF with NaN among its pixels, and a PNG whose palette is missing: found by tests/fuzz.py among 20,000"
    import fuzz
    what, fault = fuzz.one(number, 0, tmp_path)
    assert what == "image refused" and fault is None


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_paths_and_pictures_alike(turn, tmp_path):
    from mnist_cnn.pictures import _TURNS
    exif = Image.Exif()
    exif[0x0112] = turn
    undo = {"ROTATE_270": "ROTATE_90", "ROTATE_90": "ROTATE_270"}
    image = PLAIN if turn == 1 else PLAIN.transpose(getattr(Image.Transpose, undo.get(_TURNS[turn], _TURNS[turn])))
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened: found = [prepare_image(opened), prepare_image(tmp_path / "a.png"), prepare_image((tmp_path / "a.png").read_bytes())]
    assert all(torch.equal(f, prepare_image(PLAIN)) for f in found)


def test_heic(tmp_path, monkeypatch):
    "Named, with what to install; and read where that is"
    heic = b"\0\0\0\x18ftypheic" + bytes(100)
    (tmp_path / "IMG_1.HEIC").write_bytes(heic)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for image in (tmp_path / "IMG_1.HEIC", heic):
        with pytest.raises(ValueError, match="HEIC.*pip install pillow-heif"): prepare_image(image)
    def opener():
        Image.register_open("HEIF", lambda fp, filename: PLAIN_FILE(fp), lambda prefix: prefix[4:12] == b"ftypheic")
    class PLAIN_FILE(Image.Image):
        format = "HEIF"
        def __init__(self, fp):
            super().__init__()
            self._im, self._mode, self._size = PLAIN.im, "L", PLAIN.size
    monkeypatch.setitem(sys.modules, "pillow_heif", type(sys)("pillow_heif"))
    sys.modules["pillow_heif"].register_heif_opener = opener
    try: assert read(heic)[0] == 7
    finally: Image.OPEN.pop("HEIF"), Image.ID.remove("HEIF")


@pytest.mark.parametrize("image", [PLAIN, COLORED.resize((1200, 1600))], ids=["gray", "large"])
def test_heic_as_the_real_library_writes_it(image, tmp_path):
    "Read by path and as bytes, with `pip install pillow-heif`; skipped without it"
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(image).save(tmp_path / "IMG_1.HEIC", quality=90)
    assert (tmp_path / "IMG_1.HEIC").read_bytes()[4:8] == b"ftyp"
    try: assert read(tmp_path / "IMG_1.HEIC")[0] == read((tmp_path / "IMG_1.HEIC").read_bytes())[0] == 7
    finally:
        Image.OPEN.pop("HEIF", None)
        if "HEIF" in Image.ID: Image.ID.remove("HEIF")


MEASURE = """
import resource, sys, time
from mnist_cnn.pictures import find_digits
import scipy.ndimage, PIL.Image
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
found = find_digits(sys.argv[1])
print(len(found), time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("name, size, most_seconds, most_memory", [("a.jpg", (4000, 3000), 1, 400), ("a.png", (4000, 3000), 1, 400), ("b.jpg", (12_000, 10_000), 10, 1000)])
def test_large_pictures(name, size, most_seconds, most_memory, tmp_path):
    import subprocess
    image = COLORED.resize(size)
    image.save(tmp_path / name, **({"quality": 80} if name.endswith("jpg") else {"compress_level": 1}))
    done = subprocess.run([sys.executable, "-W", "error", "-c", MEASURE, tmp_path / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n, seconds, memory = map(float, done.stdout.split())
    assert n == 1 and seconds < 2 * most_seconds and memory < most_memory, done.stdout  # twice: the machine may be busy


def test_too_large(tmp_path):
    Image.new("1", (13_000, 10_000)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="120 million"): prepare_image(tmp_path / "a.png")


# Several digits, and what was found

def test_several_digits():
    page = np.full((112, 400), 255, np.uint8)
    for i in range(3): page[20:76, 20 + 120 * i:76 + 120 * i] = 255 - X[i, 0].numpy().repeat(2, 0).repeat(2, 1)
    found = find_digits(page)
    assert predict(MODEL, torch.stack([f.image for f in found])).argmax(1).tolist() == Y[:3].tolist()
    for i, (left, top, right, bottom) in enumerate(f.box for f in found): assert 20 + 120 * i <= left < right <= 76 + 120 * i and 20 <= top < bottom <= 76
    with pytest.raises(ValueError, match="holds 3 digits"): one_digit(page)
    assert len(show_found(page, list("abc")).axes) == 4


def test_boxes_are_in_pixels_of_the_picture():
    big = Image.fromarray(np.pad(SEVEN, ((0, 100), (300, 0)), constant_values=255))
    box, large = find_digits(big)[0].box, find_digits(big.resize((big.width * 5, big.height * 5)))[0].box
    assert all(abs(5 * a - b) <= 12 for a, b in zip(box, large))


def test_the_command(tmp_path):
    page = np.full((112, 300), 255, np.uint8)
    for i in range(2): page[20:76, 20 + 120 * i:76 + 120 * i] = 255 - X[i, 0].numpy().repeat(2, 0).repeat(2, 1)
    Image.fromarray(page).save(tmp_path / "two.png")
    done = command("predict", tmp_path / "two.png")
    assert done.returncode == 1 and "holds 2 digits" in done.stderr and done.stdout == ""
    done = command("predict", tmp_path / "two.png", "--all", "--show", tmp_path / "found.png")
    assert done.returncode == 0 and [line.split(": ")[-1][0] for line in done.stdout.splitlines()] == ["7", "2"] and done.stdout.count(": at (") == 2
    assert Image.open(tmp_path / "found.png").width > 300
    done = command("predict", tmp_path / "two.png", "--all", "--show", tmp_path / "found.txt")
    assert done.returncode == 1 and "expected .png" in done.stderr


# What no digit is like

def others():
    "Letters, crosses, pairs of digits and noise, prepared; none was used to choose the measure's limit"
    from matplotlib import get_data_path
    from PIL import ImageDraw, ImageFont
    rng, found = np.random.default_rng(7), {"letters": [], "crosses": [], "pairs": [], "noise": []}
    font = ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "cmss10.ttf")), 80)
    for letter in "ACDEFGHJKLMNPQRTUVWXYacdefhkmnpruvwxy":
        page = Image.new("L", (160, 160))
        ImageDraw.Draw(page).text((80, 80), letter, 255, font, anchor="mm")
        found["letters"].append(prepare_image(page))
    for _ in range(40):
        page, turn = Image.new("L", (224, 224)), rng.uniform(0, np.pi)
        for t in (turn, turn + rng.uniform(1.2, 1.9)):
            x, y = 80 * np.cos(t), 80 * np.sin(t)
            ImageDraw.Draw(page).line([(112 - x, 112 - y), (112 + x, 112 + y)], 255, 18)
        found["crosses"].append(prepare_image(page))
        i, j = rng.integers(0, len(X), 2)
        pair = np.zeros((28, 56), np.uint8)
        pair[:, :28], pair[:, 18:46] = X[i, 0], np.maximum(pair[:, 18:46], X[j, 0])
        small = Image.fromarray(pair).crop(Image.fromarray(pair).getbbox())
        small = small.resize([max(1, round(n * 20 / max(small.size))) for n in small.size], Image.Resampling.BOX)
        page = Image.new("L", (28, 28))
        page.paste(small, ((28 - small.width) // 2, (28 - small.height) // 2))
        found["pairs"].append(torch.from_numpy(np.array(page))[None])
        found["noise"].append(torch.from_numpy(np.pad(rng.integers(0, 256, (20, 20), dtype=np.uint8), 4))[None])
    return {k: torch.stack(v) for k, v in found.items()}


def nearest(x, known):
    "The measure that this one replaced: 1 minus the cosine of the angle to the nearest of all known digits, both blurred"
    def vectors(x): return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(torch.nn.functional.avg_pool2d(x / 255, 3, 1, 1), 2).flatten(1), dim=1)
    known = vectors(known)
    return torch.cat([1 - (part @ known.T).amax(1) for part in vectors(x).split(256)])


def test_strangeness_is_as_good_as_a_comparison_with_all_digits():
    x, _ = load_tensors()
    kept, other = x[50_000:52_000], torch.cat(list(others().values()))
    def caught(measure):
        limit = measure(kept).quantile(0.99)
        return (measure(other) > limit).double().mean().item()
    assert caught(strangeness) > max(0.75, caught(lambda v: nearest(v, x[:50_000])) - 0.02)


def test_strangeness():
    "1 for an empty image, whatever the brightness of another; digits are below the limit, most of what is none above it"
    assert torch.equal(strangeness(torch.zeros(1, 1, 28, 28)), torch.ones(1).double())
    torch.testing.assert_close(strangeness(X[:50] // 2 * 2), strangeness(X[:50] // 2))
    assert (strangeness(X[:2000]) > STRANGE).double().mean() < 0.02
    for kind, images in others().items(): assert (strangeness(images) > STRANGE).double().mean() > 0.5, kind


def test_strangeness_takes_milliseconds():
    start = time.process_time()
    for i in range(20): strangeness(X[i:i + 1])
    assert (time.process_time() - start) / 20 < 0.02


def test_the_command_says_what_is_strange(tmp_path):
    from PIL import ImageDraw
    page = Image.new("L", (200, 200), 255)
    for line in ([(40, 40), (160, 160)], [(160, 40), (40, 160)]): ImageDraw.Draw(page).line(line, 0, 14)
    page.save(tmp_path / "cross.png")
    PLAIN.save(tmp_path / "seven.png")
    done = command("predict", tmp_path / "cross.png", tmp_path / "seven.png")
    cross, seven = done.stdout.splitlines()
    assert done.returncode == 0 and cross.endswith("resembles no digit of MNIST") and seven.endswith("%)")
