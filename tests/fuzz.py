"""Damaged files into the readers: `python tests/fuzz.py --n 100000`. Its short form is tests/test_fuzz.py.

Each input has a number, and is made from that number alone: `--first 1234 --n 1` makes one of them again. A reader may refuse a file with
a `ValueError`, a `FileNotFoundError` or another `OSError` that names it, or read from it what an independent reader finds there.
Anything else (another exception, an answer that comes late, an answer that is wrong) is a fault, and ends in status 1.
"""
import argparse, gzip, io, random, signal, struct, sys, tempfile, warnings, zlib
from collections import Counter
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.files import read_idx

SECONDS = 10  # in which each file must be answered
EXTREMES = [0, 1, 2, 28, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]


class Late(BaseException):
    "Raised in a reader that takes too long; no reader catches it as an error of the file."


@contextmanager
def in_time():
    def late(*_): raise Late(f"no answer in {SECONDS} s")
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try: yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damage(data, rng, n=None):
    "The bytes after one to four accidents."
    data = bytearray(data)
    for _ in range(n or rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(64, len(data)) + 1)  # half of them in the header
        kind, size = rng.randrange(8), rng.choice([1, 2, 4, 16, 256])
        if kind == 0 and at < len(data): data[at] ^= 1 << rng.randrange(8)
        elif kind == 1: del data[at:]
        elif kind == 2: del data[at:at + size]
        elif kind == 3: data[at:at] = rng.randbytes(size)
        elif kind == 4: data[at:at + size] = rng.randbytes(size)
        elif kind == 5: data[at:at] = data[at:at + size]
        elif kind == 6: data[at:at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(EXTREMES))
        else: data += rng.choice([b"\0", b"\n", b"more", bytes(data[:size]), bytes(data)])
    return bytes(data)


# IDX files

def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def idx_content(data):
    "What an IDX file of unsigned bytes holds, as a list of its sizes and its bytes; None if it is none. Written without a look at `read_idx`."
    if len(data) < 4 or data[0] or data[1] or data[2] != 8 or not 1 <= data[3] <= 4 or len(data) < 4 + 4 * data[3]: return None
    sizes = list(struct.unpack_from(f">{data[3]}I", data, 4))
    body, n = data[4 + 4 * data[3]:], 1
    for s in sizes: n *= s
    return (sizes, body) if len(body) == n else None


def unpacked(data):
    "What gzip's own reader makes of a packed file; None if it refuses it."
    try: return gzip.decompress(data)
    except (OSError, EOFError, zlib.error, struct.error): return None


def arrays(rng):
    "A few images and their labels."
    n = rng.choice([1, 1, 2, 5, 13])
    return np.frombuffer(rng.randbytes(n * 784), np.uint8).reshape(n, 28, 28), np.frombuffer(bytes(rng.randrange(10) for _ in range(n)), np.uint8)


def idx_file(array, rng, hurt=True):
    "Suffix and bytes of an IDX file: plain or packed; damaged before it is packed, after, or not at all."
    data, packed = idx(array), rng.random() < 0.5
    if hurt and (not packed or rng.random() < 0.4): data = damage(data, rng)
    if not packed: return "", data
    level = rng.randrange(10)
    data = gzip.compress(data, level, mtime=0)
    return ".gz", damage(data, rng) if hurt and rng.random() < 0.8 else data


def check_idx(i, rng, folder):
    suffix, data = idx_file(rng.choice(arrays(rng)), rng)
    path = folder / f"{i}-idx{suffix}"
    path.write_bytes(data)
    content = unpacked(data) if suffix else data
    content = None if content is None else idx_content(content)
    def check(x):
        assert content is not None, "it was read, though it is not as it should be"
        assert list(x.shape) == content[0] and x.numpy().tobytes() == content[1], "other numbers than the file holds"
    return path, read_idx, check


def check_load(i, rng, folder):
    "A data set of which one file or both are damaged"
    folder = folder / f"{i}-set"
    folder.mkdir()
    which, contents = rng.choice([(True, False), (False, True), (True, True)]), []
    for name, array, hurt in zip(("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"), arrays(rng), which):
        suffix, data = idx_file(array, rng, hurt)
        (folder / (name + suffix)).write_bytes(data)
        content = unpacked(data) if suffix else data
        contents.append(None if content is None else idx_content(content))
    def check(xy):
        (x, y), (images, labels) = xy, contents
        assert images and labels, "it was read, though it is not as it should be"
        assert list(x.shape) == [images[0][0], 1, 28, 28] and x.numpy().tobytes() == images[1], "other pixels than the file holds"
        assert y.tolist() == list(labels[1]) and len(x) == len(y) and max(labels[1]) < 10, "other labels than the file holds"
    return folder, lambda path: load_tensors(False, path), check


# Pictures

MODES = {"PNG": ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"], "JPEG": ["L", "RGB", "CMYK"], "GIF": ["P", "L"], "BMP": ["L", "RGB", "1"],
         "TIFF": ["L", "RGB", "RGBA", "CMYK", "F", "I;16"], "WEBP": ["RGB", "RGBA"]}


@cache
def picture(form, mode, size, frames):
    "The bytes of a picture of a stroke."
    a = np.full((size, size), 255, np.uint8)
    a[size // 4:max(size // 4 + 1, 3 * size // 4), size // 2:size // 2 + max(1, size // 8)] = 20
    base = Image.fromarray(a)
    if mode == "F": image = Image.fromarray(a.astype(np.float32) / 255)
    elif mode == "I;16": image = Image.fromarray(a.astype(np.uint16) * 257)
    else: image = base.convert(mode, dither=Image.Dither.NONE)
    if mode in ("LA", "RGBA"): image.putalpha(base.point(lambda v: 255 - v))
    out, more = io.BytesIO(), {}
    if frames > 1: more = dict(save_all=True, append_images=[base.rotate(90 * k).convert(mode) for k in range(1, frames)])
    image.save(out, form, **more)
    return out.getvalue()


def rechecked(png):
    "A PNG with the checksums of its chunks set right, so that what was damaged is looked at."
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        n, = struct.unpack_from(">I", png, at)
        chunk = png[at + 4:at + 8 + n]
        out += png[at:at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + n
    return bytes(out)


def check_image(i, rng, folder):
    form = rng.choice(list(MODES))
    size = rng.choice([1, 2, 3, 7, 28, 28, 64, 200])
    data = picture(form, rng.choice(MODES[form]), size, rng.choice([1, 1, 3]) if form == "GIF" else 1)
    if rng.random() < 0.97: data = damage(data, rng)
    if form == "PNG" and rng.random() < 0.7: data = rechecked(data)
    path = folder / f"{i}.{form.lower()}"
    path.write_bytes(data)
    def check(x):
        assert str(x.dtype) == "torch.uint8" and tuple(x.shape) == (1, 28, 28), f"{x.dtype} {tuple(x.shape)}"
        assert x.max() == 255 and max(x[0].any(d).sum() for d in (0, 1)) <= 20, "a digit that is not as MNIST's are"
    return path, prepare_image, check


KINDS = [check_idx, check_load, check_image, check_image]


def one(i, seed, folder):
    "Make input `i` and read it: what came of it, in a word, and the fault if there is one."
    rng = random.Random(f"{seed} {i}")
    path, read, check = KINDS[i % len(KINDS)](i, rng, folder)
    name = KINDS[i % len(KINDS)].__name__.removeprefix("check_")
    try:
        with in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read(path)
    except (ValueError, OSError) as e:
        if str(path) not in str(e): return f"{name} fault", f"{type(e).__name__} that does not name the file: {e}"
        return f"{name} refused", None
    except (Exception, Late) as e: return f"{name} fault", f"{type(e).__name__}: {e}"
    try: check(found)
    except AssertionError as e: return f"{name} fault", f"read, but {e}"
    return f"{name} read", None


def fuzz(numbers, seed=0, say=None):
    "Counts of what came of the inputs with these numbers, and a line for each fault."
    counts, faults = Counter(), []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for n, i in enumerate(numbers, 1):
            with tempfile.TemporaryDirectory(dir=folder) as inside: what, fault = one(i, seed, Path(inside))
            counts[what] += 1
            if fault: faults.append(f"input {i}: {what}: {fault}".replace(folder, ""))
            if say and n % 1000 == 0: say(f"{n:,} of {len(numbers):,}: {len(faults)} faults")
    return counts, faults


def main():
    p = argparse.ArgumentParser(description="Send damaged files through the readers.")
    p.add_argument("--n", type=int, default=2000, help="how many (default: 2000)")
    p.add_argument("--seed", type=int, default=0, help="for other inputs (default: 0)")
    p.add_argument("--first", type=int, default=0, help="number of the first (default: 0)")
    a = p.parse_args()
    counts, faults = fuzz(range(a.first, a.first + a.n), a.seed, lambda text: print(text, file=sys.stderr, flush=True))
    for what, n in sorted(counts.items()): print(f"{what:14} {n:9,}")
    for f in faults: print(f)
    sys.exit(bool(faults))


if __name__ == "__main__": main()
