"Files that lie, and files that must not be lost: each ends in one line that names it, and neither a model nor a file changes."
import errno, gzip, io, json, os, pickle, re, stat, struct, subprocess, sys, tarfile, tracemalloc, zipfile, zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz import idx, picture
from PIL import Image
from torch import nn

from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.files import (atomic_write, check_state, check_writable, load_weights, locked, open_image, private_folder, read_bytes, read_idx, read_json, regular, save_weights, sha256_of,
                             sweep, unpack, write_idx)

pytestmark = pytest.mark.filterwarnings("ignore")
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners and modes on this system")


def rejected(read, path, *says):
    "One short line that names the file"
    with pytest.raises((ValueError, OSError)) as raised: read(path)
    text = str(raised.value)
    assert str(path) in text and "\n" not in text and len(text) < len(str(path)) + 400, text
    for s in says: assert s in text, text
    return raised.value


def net():
    "A small network with every kind of entry: floats, running means, a whole number"
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


GOOD = net().state_dict()
W, B, N = "0.weight", "3.bias", "1.num_batches_tracked"


def saved(state, **kw):
    "What `torch.save` makes of it"
    out = io.BytesIO()
    torch.save(state, out, **kw)
    return out.getvalue()


def weights_rejected(data, path, *says):
    "… and both the model and the file are as they were"
    model, before = net(), {k: v.clone() for k, v in GOOD.items()}
    path.write_bytes(data)
    error = rejected(lambda p: load_weights(model, p), path, *says)
    assert type(error) is ValueError and path.read_bytes() == data
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def packed(data, change, compression=zipfile.ZIP_STORED):
    "A zip archive made again with other contents: `change` maps a name and bytes to bytes, or None to leave them out"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for i in old.infolist():
            if (content := change(i.filename, old.read(i))) is not None: new.writestr(i.filename, content)
    return out.getvalue()


# Weights

def marked(t):
    t.is_nested_by_hand = True
    return t


def shadowed(**names):
    "A state_dict of which a file says that its methods are other things: attributes that a pickle may give an OrderedDict"
    state = OrderedDict(GOOD)
    for name, value in names.items(): setattr(state, name[:-1] + "_", value)
    data = saved(state)
    for name in names: data = packed(data, lambda n, c, name=name: c.replace((name[:-1] + "_").encode(), name.encode()))
    return data


one = torch.ones(3)
QUANTIZED = torch.quantize_per_tensor(one, 1., 0, torch.quint8)
STATES = {
    "nothing": None, "a list": [1], "a number": 3, "a text": "weights", "a tensor": one, "an empty dictionary": {}, "a tuple": tuple(GOOD.items()), "a set": {1, 2}, "bytes": bytearray(9),
    "numbers for keys": {1: one}, "a list for a tensor": GOOD | {B: [0., 0., 0.]}, "a number for a tensor": GOOD | {B: 1.}, "None for a tensor": GOOD | {B: None},
    "a dictionary inside": {"model": GOOD}, "one missing": {k: v for k, v in GOOD.items() if k != B}, "one more": GOOD | {"more": one}, "a key of lines": GOOD | {"a\nb\n" * 99: one},
    "a long key": GOOD | {"k" * 10**5: one}, "all other keys": {f"k{i}": one for i in range(1000)}, "a key with a zero": GOOD | {"\0": one},
    **{f"{v} in {k}": GOOD | {k: torch.full_like(GOOD[k], v)} for k in (W, "1.running_var") for v in (np.nan, np.inf, -np.inf)},
    "complex NaN": GOOD | {B: torch.full((3,), complex(np.nan, 0))}, "complex": GOOD | {B: torch.ones(3, dtype=torch.complex64)}, "imaginary": GOOD | {B: torch.full((3,), 1j)},
    "1e300 as float64": GOOD | {B: one.double() * 1e300}, "-1e39 as float64": GOOD | {W: GOOD[W].double() * 0 - 1e39},
    **{f"bias of {t}": GOOD | {B: one.to(getattr(torch, t))} for t in ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "complex128")},
    **{f"count of {t}": GOOD | {N: torch.ones((), dtype=getattr(torch, t))} for t in ("float16", "float32", "float64", "complex64", "bool", "uint16", "uint32", "uint64")},
    "bits": GOOD | {B: torch.ones(3, dtype=torch.uint8).view(torch.bits8)}, "bits for a count": GOOD | {N: torch.ones((), dtype=torch.uint8).view(torch.bits8)},
    **{f"bias of shape {tuple(s)}": GOOD | {B: torch.zeros(s)} for s in ([], [1], [2], [4], [3, 1], [1, 3], [0], [3, 0])},
    **{f"{s} endless numbers": GOOD | {B: torch.zeros(1).expand(s)} for s in (4 * 10**9, 2**62)}, "endless weights": GOOD | {W: torch.zeros(1, 1, 1, 1).expand(10**5, 10**5, 3, 3)},
    "sparse": GOOD | {B: one.to_sparse()}, "sparse rows": GOOD | {"3.weight": GOOD["3.weight"].to_sparse_csr()}, "sparse columns": GOOD | {"3.weight": GOOD["3.weight"].to_sparse_csc()},
    "nested": GOOD | {B: torch.nested.nested_tensor([one, one])}, "quantized": GOOD | {B: QUANTIZED},
    "quantized by channel": GOOD | {"3.weight": torch.quantize_per_channel(GOOD["3.weight"], torch.ones(3), torch.zeros(3), 0, torch.qint8)},
    "quantized last": {k: v for k, v in GOOD.items() if k != B} | {B: QUANTIZED}, "on meta": GOOD | {B: torch.ones(3, device="meta")}, "all on meta": net().to("meta").state_dict(),
    "with an attribute": GOOD | {B: marked(one.clone())}, "a parameter with an attribute": GOOD | {B: marked(nn.Parameter(one.clone()))},
    "all wrong": {k: torch.zeros(7) for k in GOOD}, "swapped": GOOD | {W: GOOD["3.weight"], "3.weight": GOOD[W]}}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_states_that_are_none(state, tmp_path):
    try: data = saved(state)
    except (RuntimeError, NotImplementedError, TypeError) as e: pytest.skip(f"this torch cannot save it: {e}")
    weights_rejected(data, tmp_path / "CNN.pt")


@pytest.mark.parametrize("state", ["complex NaN", "sparse", "quantized", "bits for a count", "endless weights", "on meta", "one more", "1e300 as float64"])
def test_states_that_are_none_without_a_file(state):
    "The validator that checkpoints use too says the same"
    with pytest.raises(ValueError, match=r"^here: does not fit Sequential: "): check_state(STATES[state], net(), "here")


def test_endless_numbers_take_no_memory(tmp_path):
    "A tensor of 16 GB in a file of a kilobyte: its shape is looked at before any of its values"
    (tmp_path / "CNN.pt").write_bytes(data := saved(GOOD | {B: torch.zeros(1).expand(4 * 10**9)}))
    assert len(data) < 10_000
    rejected(lambda p: load_weights(net(), p), tmp_path / "CNN.pt", "3.bias is (4000000000,), not (3,)")


@pytest.mark.parametrize("names", [dict(values=5), dict(items=5), dict(keys="x"), dict(values=5, keys=5, items=5), dict(get=1), dict(copy=1)], ids=lambda v: " ".join(v))
def test_a_dictionary_with_methods_of_its_own(names, tmp_path):
    "They are not called: the state is a good one, and is loaded"
    (tmp_path / "CNN.pt").write_bytes(shadowed(**names))
    state = torch.load(tmp_path / "CNN.pt", weights_only=True)
    assert all(getattr(state, n) == v for n, v in names.items())
    model = net()
    for p in model.parameters(): p.data.zero_()
    load_weights(model, tmp_path / "CNN.pt")
    assert all(torch.equal(v, GOOD[k]) for k, v in model.state_dict().items())


def test_the_last_of_all_is_wrong(tmp_path):
    "Nothing of the others is loaded"
    model = net()
    for p in model.parameters(): p.data.zero_()
    for wrong in (QUANTIZED, one * np.nan, torch.zeros(4)):
        torch.save({k: v for k, v in GOOD.items() if k != B} | {B: wrong}, tmp_path / "CNN.pt")
        with pytest.raises(ValueError): load_weights(model, tmp_path / "CNN.pt")
        assert not any(p.any() for p in model.parameters())


class Stubborn(nn.Linear):
    "A layer that loads in a way of its own, and fails at the end of it"
    def _load_from_state_dict(self, *args):
        super()._load_from_state_dict(*args)
        raise KeyError("not today\nnor tomorrow")


def test_a_model_that_fails_while_it_is_loaded(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), Stubborn(2, 2))
    before = [p.clone() for p in model.parameters()]
    torch.save({k: v + 1 for k, v in model.state_dict().items()}, tmp_path / "CNN.pt")
    rejected(lambda p: load_weights(model, p), tmp_path / "CNN.pt", "cannot be loaded into Sequential")
    assert all(map(torch.equal, before, model.parameters()))


class More(nn.Linear):
    def get_extra_state(self): return {"a": 1}
    def set_extra_state(self, state): pass


@pytest.mark.parametrize("model", [nn.Linear(2, 1, device="meta"), More(2, 1)], ids=lambda m: type(m).__name__)
def test_models_without_numbers(model, tmp_path):
    save_weights(nn.Linear(2, 1), tmp_path / "linear.pt")
    rejected(lambda p: load_weights(model, p), tmp_path / "linear.pt", "holds no data that can be kept")
    with pytest.raises(ValueError, match="holds no data that can be kept"): save_weights(model, tmp_path / "new.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["linear.pt"]


@pytest.mark.parametrize("model", [None, nn.Linear, "CNN", {}, nn.LazyLinear(1)], ids=str)
def test_what_is_not_a_model(model, tmp_path):
    for f in (load_weights, save_weights):
        with pytest.raises(ValueError if isinstance(model, nn.Module) else TypeError, match="expected a"): f(model, tmp_path / "CNN.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_floats_of_another_size_fit(kind, tmp_path):
    torch.save({k: v.to(kind) if v.is_floating_point() else v for k, v in GOOD.items()}, tmp_path / "CNN.pt")
    for k, v in load_weights(net(), tmp_path / "CNN.pt").state_dict().items(): assert v.dtype == GOOD[k].dtype and torch.allclose(v.float(), GOOD[k].float(), atol=1e-2)


class Run:
    "What a pickle may ask for: to call something"
    def __init__(self, f, *args): self.f, self.args = f, args
    def __reduce__(self): return self.f, self.args


PROGRAMS = {"a command": Run(os.system, "touch ran"), "eval": Run(eval, "open('ran', 'w')"), "a subprocess": Run(subprocess.call, ["touch", "ran"]), "a file": Run(open, "ran", "w"),
            "a module": Run(__import__, "antigravity"), "unlink": Run(os.unlink, "ran"), "getattr": Run(getattr, "os", "system"), "torch.load": Run(torch.load, "CNN.pt"), "a path": Path("ran"),
            "a model": net(), "hub": Run(torch.hub.load, "a/b", "c"), "a function": print}


@pytest.mark.parametrize("form", ["zip", "earlier", "pickle"])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs(program, form, tmp_path, monkeypatch):
    "Nothing is run, whichever of torch's formats it comes in"
    monkeypatch.chdir(tmp_path)
    state = dict(GOOD, run=program)
    data = pickle.dumps(dict(run=program)) if form == "pickle" else saved(state, _use_new_zipfile_serialization=form == "zip")
    weights_rejected(data, tmp_path / "CNN.pt", "safely")
    assert not (tmp_path / "ran").exists()


ZIP, EARLIER = saved(GOOD), saved(GOOD, _use_new_zipfile_serialization=False)
BIG = saved({"w": torch.zeros(10**6)})


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as f:
        for name in ("sys_info", "pickle", "storages", "tensors"): f.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def only(name, content): return packed(ZIP, lambda n, c: content if n.endswith(name) else c)


ARCHIVES = {
    "nothing": b"", "a byte": b"P", "zeros": bytes(1000), "a text": b"weights\n" * 99, "a page": b"<!doctype html><html>404</html>", "a script": b"#!/bin/sh\ntouch ran\n", "zip's first bytes": b"PK\3\4",
    "zip's first bytes and zeros": b"PK\3\4" + bytes(5000), "zip's last bytes": b"PK\5\6" + bytes(18), "an empty archive": b"PK\5\6" + bytes(18) + bytes(99), "a tar": tar(), "gzip": gzip.compress(ZIP),
    "an image": picture("PNG", "L", 28, 1), "safetensors": struct.pack("<Q", 2) + b"{}", "an IDX file": idx(np.zeros((2, 28, 28), np.uint8)), "json": b'{"0.weight": [1]}',
    "compressed": packed(BIG, lambda n, c: c, zipfile.ZIP_DEFLATED), "bzip2": packed(BIG, lambda n, c: c, zipfile.ZIP_BZIP2),
    "lzma": packed(BIG, lambda n, c: c, zipfile.ZIP_LZMA), "no pickle": packed(ZIP, lambda n, c: None if n.endswith("data.pkl") else c), "an empty pickle": only("data.pkl", b""),
    "a pickle of zeros": only("data.pkl", bytes(100)), "no numbers": packed(ZIP, lambda n, c: None if "/data/" in n else c), "one tensor without numbers": packed(ZIP, lambda n, c: None if n.endswith("/data/0") else c),
    "empty numbers": only("/data/0", b""), "fewer numbers": only("/data/0", bytes(4)), "another byte order": only("byteorder", b"middle"), "no end to lists": only("data.pkl", b"\x80\x02" + b"]" * 10**5 + b"."),
    "lists in lists": only("data.pkl", b"\x80\x02" + b"](" * 10**5 + b"."), "a long number": only("data.pkl", b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"."), "a negative length": only("data.pkl", b"\x80\x02\x8b" + struct.pack("<i", -5) + b"."),
    "a pickle of version 99": only("data.pkl", b"\x80\x63."), "memo without end": only("data.pkl", b"\x80\x02j\xff\xff\xff\xff."), "an unknown opcode": only("data.pkl", b"\x80\x02\xff."),
    "nothing on the stack": only("data.pkl", b"\x80\x02."), "many of nothing": only("data.pkl", b"\x80\x02" + b"0" * 50 + b"."), "a program": only("data.pkl", pickle.dumps(Run(os.system, "touch ran"), 2)),
    "a version of letters": only("version", b"x"),
    **{f"{n} bytes of the zip": ZIP[:n] for n in (2, 3, 5, 31, 64, 100, 500, 1000, 2000, len(ZIP) - 200, len(ZIP) - 22, len(ZIP) - 1)},
    **{f"{n} bytes of the earlier format": EARLIER[:n] for n in (1, 2, 10, 16, 20, 50, 100, 200, 400, len(EARLIER) - 300, len(EARLIER) - 100, len(EARLIER) - 4, len(EARLIER) - 1)},
    "the earlier format, another number": EARLIER.replace(pickle.dumps(0x1950a86a20f9469cfc6c, 2)[2:-1], pickle.dumps(0x1950a86a20f9469cfc6d, 2)[2:-1]),
    "behind a byte": b"\0" + ZIP, "behind a line": b"\n" + EARLIER}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_files_that_are_no_weights(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights_rejected(data, tmp_path / "CNN.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["CNN.pt"]


@pytest.mark.parametrize("form", ["zip", "earlier"])
def test_weights_with_flipped_bits(form, tmp_path):
    "Rejected, or read: then they are finite numbers of the right shapes"
    data, path, rng = ZIP if form == "zip" else EARLIER, tmp_path / "CNN.pt", np.random.default_rng(0)
    for at in rng.integers(len(data), size=150):
        hurt = bytearray(data)
        hurt[at] ^= 1 << rng.integers(8)
        path.write_bytes(hurt)
        model = net()
        try: load_weights(model, path)
        except ValueError as e:
            assert str(path) in str(e) and "\n" not in str(e)
            assert all(torch.equal(v, GOOD[k]) for k, v in model.state_dict().items())
        else: assert all(v.isfinite().all() and v.shape == GOOD[k].shape for k, v in model.state_dict().items())


def test_a_small_archive_of_much_air(tmp_path):
    "200 MB of zeros in 200 kB are not unpacked"
    data = packed(saved({"w": torch.zeros(50_000_000)}), lambda n, c: c, zipfile.ZIP_DEFLATED)
    assert len(data) < 300_000
    (tmp_path / "CNN.pt").write_bytes(data)
    code = "import resource, sys\nfrom torch import nn\nfrom mnist_cnn.files import load_weights\nat = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n" \
           "before = at()\ntry: load_weights(nn.Linear(1, 1), sys.argv[1])\nexcept ValueError as e: print(e, at() - before)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "CNN.pt")], capture_output=True, text=True)
    assert "compressed" in done.stdout and int(done.stdout.split()[-1]) < 50_000, done.stdout + done.stderr


# IDX

LABELS = idx(np.arange(9, dtype=np.uint8))
IDX = {
    "nothing": b"", "one byte": b"\0", "three bytes": b"\0\0\x08", "no sizes": b"\0\0\x08\1", "half a size": b"\0\0\x08\1\0\0", "no dimension": b"\0\0\x08\0", "five dimensions": b"\0\0\x08\5" + bytes(20),
    "255 dimensions": b"\0\0\x08\xff" + bytes(2000), "floats": b"\0\0\x0d\1" + LABELS[4:], "int16": b"\0\0\x0b\1" + LABELS[4:], "signed bytes": b"\0\0\x09\1" + LABELS[4:], "a first byte": b"\1" + LABELS[1:],
    "little-endian": LABELS[:4] + LABELS[4:8][::-1] + LABELS[8:], "one too few": LABELS[:-1], "one too many": LABELS + b"\0", "a newline more": LABELS + b"\n", "twice": LABELS * 2, "only the header": LABELS[:8],
    "a page": b"<html>404</html>", "an image": picture("PNG", "L", 28, 1), "packed twice": gzip.compress(gzip.compress(LABELS)), "zip": ZIP, "zeros": bytes(100), "all ones": b"\xff" * 100,
    "4·10⁹ promised": b"\0\0\x08\1\xff\xff\xff\xff" + bytes(99), "2¹²⁸ promised": b"\0\0\x08\4" + b"\xff" * 16 + bytes(99), "2³² × 0 and more": b"\0\0\x08\2\xff\xff\xff\xff\0\0\0\0more",
    "an empty set that is not": b"\0\0\x08\1\0\0\0\0x", "2³¹ images": b"\0\0\x08\3\x80\0\0\0\0\0\0\x1c\0\0\0\x1c" + bytes(784)}


@pytest.mark.parametrize("data", IDX.values(), ids=IDX)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_that_are_none(data, suffix, tmp_path):
    path = tmp_path / f"labels-idx1-ubyte{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    rejected(read_idx, path, "Delete it and fetch it again.")


PACKED = gzip.compress(LABELS, mtime=0)
GZIP = {"nothing": b"", "gzip's first bytes": PACKED[:2], "its header": PACKED[:10], "no checksum": PACKED[:-8], "half a checksum": PACKED[:-5], "no size": PACKED[:-4], "one byte less": PACKED[:-1],
        "another checksum": PACKED[:-8] + b"abcd" + PACKED[-4:], "another size": PACKED[:-4] + b"\1\0\0\0", "more": PACKED + b"more", "a zero more": PACKED + b"\0", "twice": PACKED * 2,
        "two members": gzip.compress(LABELS[:5]) + gzip.compress(LABELS[5:]), "zlib": zlib.compress(LABELS), "bare": zlib.compress(LABELS)[2:-4], "reserved flags": PACKED[:3] + b"\xe0" + PACKED[4:],
        "another method": PACKED[:2] + b"\7" + PACKED[3:], "a name without end": PACKED[:3] + b"\x08" + PACKED[4:10] + b"name" * 99, "packed twice": gzip.compress(PACKED)}


@pytest.mark.parametrize("data", GZIP.values(), ids=GZIP)
def test_packed_idx_files_that_are_none(data, tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(data)
    rejected(read_idx, path, "Delete it and fetch it again.")


@pytest.mark.parametrize("sizes, says, memory", [([3], "holds more", 1e6), ([2**16, 2**14], "holds 20,000,000", 1e8), ([2**16, 2**15], "more than 1,073,741,824", 1e6)], ids=str)
def test_a_packed_file_of_much_air(sizes, says, memory, tmp_path):
    "20 MB of zeros in 20 kB: unpacked no further than the header promises, and that is limited"
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes() + bytes(2 * 10**7), 9))
    tracemalloc.start()
    try:
        rejected(read_idx, path, says)
        assert tracemalloc.get_traced_memory()[1] < memory
    finally: tracemalloc.stop()


@pytest.mark.parametrize("shape", [(0,), (9,), (3, 0, 2), (2, 3, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read_as_they_were_written(shape, suffix, tmp_path):
    a, path = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8), tmp_path / f"a{suffix}"
    for given in (a, torch.from_numpy(a), a[::-1].copy()[::-1]):
        write_idx(path, given)
        assert np.array_equal(read_idx(path), a)


@pytest.mark.parametrize("a", [None, "abc", [1, 2], 3, np.ones(3), np.ones(3, np.int8), np.uint8(3), np.ones((1,) * 5, np.uint8), torch.ones(3, requires_grad=True), torch.ones(2, 2, dtype=torch.uint8).to_sparse(),
                               torch.ones(2, dtype=torch.uint8, device="meta"), torch.ones(3, dtype=torch.bool)], ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')}")
def test_what_an_idx_file_cannot_hold(a, tmp_path):
    with pytest.raises((TypeError, ValueError), match="expected uint8 with 1 to 4"): write_idx(tmp_path / "a", a)
    assert not list(tmp_path.iterdir())


# Images

def other(form):
    out = io.BytesIO()
    Image.new("L", (28, 28), 255).save(out, form)
    return out.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n(ran) (w) file closefile\nshowpage\n%%EOF\n"
IMAGES = {
    "nothing": b"", "zeros": bytes(1000), "a text": b"digit", "a page": b"<html>404</html>", "EPS": EPS, "EPS with a preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIII", 32, len(EPS), 0, 0, 0, 0) + bytes(4) + EPS,
    "PostScript": b"%!PS\n" + EPS[5:], "PDF": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n", "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a metafile": struct.pack("<IHHH", 0x9ac6cdd7, 0, 0, 0) + bytes(100), "XPM": b'/* XPM */\nstatic char *a[] = {"1 1 1 1","a c #000","a"};', "XBM": b"#define im_width 8\n#define im_height 8\nstatic char im_bits[] = {\n0,0,0,0,0,0,0,0};",
    "FITS": b"SIMPLE  =                    T" + bytes(2850), "MPEG": b"\0\0\1\xb3" + bytes(100), "GRIB": b"GRIB" + bytes(3) + b"\1" + bytes(50), "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100), "BUFR": b"BUFR" + bytes(50),
    "IDX": idx(np.zeros((1, 28, 28), np.uint8)), "weights": ZIP, "gzip": gzip.compress(picture("PNG", "L", 28, 1)),
    **{form: other(form) for form in ("PCX", "TGA", "SGI", "PDF", "EPS")},
    "Photoshop": b"8BPS\0\1" + bytes(200), "a web animation": b"RIFF" + struct.pack("<I", 4) + b"WEBP", "only PNG's first bytes": b"\x89PNG\r\n\x1a\n", "only JPEG's": b"\xff\xd8\xff", "only GIF's": b"GIF89a",
    "only BMP's": b"BM", "only TIFF's": b"II*\0", "TIFF in a circle": b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "BigTIFF": b"II+\0\x08\0\0\0" + bytes(8), "PPM without sizes": b"P5\n", "PPM of letters": b"P5 a b c\n", "PPM of -1": b"P5 -1 -1 255\n",
    "PPM of 10⁶×10⁶": b"P5 1000000 1000000 255\n" + bytes(99), "PPM without pixels": b"P5 28 28 255\n", "PPM of 0": b"P5 0 0 255\n", "a bitmap of letters": b"P1 3 3\nabcabcabc", "PPM of 0 greys": b"P5 2 2 0\n" + bytes(4),
    **{f"{form} {mode} cut to {n} %": picture(form, mode, 64, 1)[:len(picture(form, mode, 64, 1)) * n // 100]
       for form, mode, parts in [("PNG", "L", (5, 20, 50)), ("PNG", "RGBA", (10, 40)), ("JPEG", "L", (1, 10, 40)), ("JPEG", "CMYK", (5, 30)), ("GIF", "P", (1, 2, 5)), ("BMP", "L", (1, 20, 50, 90)), ("BMP", "1", (5, 50)),
                                 ("TIFF", "L", (1, 20, 80)), ("TIFF", "F", (1, 50)), ("WEBP", "RGB", (5, 30, 60))] for n in parts}}


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)
def test_images_that_are_none(data, tmp_path, monkeypatch):
    "No other program is started for any of them"
    def started(*a, **kw): pytest.fail(f"a program was started: {a}")
    for starter in ("subprocess.Popen", "os.system", "os.posix_spawn"): monkeypatch.setattr(starter, started)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "digit.png"
    path.write_bytes(data)
    rejected(prepare_image, path)
    assert path.read_bytes() == data and len(list(tmp_path.iterdir())) == 1


@posix
def test_ghostscript_is_never_started(tmp_path):
    "A program of its name stands first in the path, and would leave a file; whatever the image is called"
    for gs in ("gs", "gswin64c"):
        (tmp_path / gs).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tmp_path / gs).chmod(0o755)
    images = [tmp_path / name for name in ("digit.png", "digit.eps", "digit.ps", "digit.jpg", "digit")]
    for path in images: path.write_bytes(EPS)
    code = "import sys\nfrom mnist_cnn.cli import main\nsys.exit(main(['predict', *sys.argv[1:]]))"
    done = subprocess.run([sys.executable, "-c", code, *map(str, images)], env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("is not an image that can be read; expected PNG") == len(done.stderr.splitlines()) == len(images), done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_images_by_what_they_hold(form, tmp_path):
    "Whatever they are called"
    data = other("PPM") if form == "PPM" else picture(form, "P" if form == "GIF" else "RGB" if form == "WEBP" else "L", 64, 1)
    (tmp_path / "digit.txt").write_bytes(data)
    with open_image(tmp_path / "digit.txt") as image: assert image.format == form


# JSON

RUNS = {"measured_on": "test", "trained_on": "the training set", "recipes": {"classic": {"settings": {}, "runs": [{"seed": 0, "accuracy": 0.9}]}}}
JSON = {"nothing": b"", "a list": b"[]", "null": b"null", "a number": b"3", "a text": b'"study"', "half": b'{"recipes": {', "two": b"{}{}", "a comma": b'{"a": 1,}', "latin-1": "{\"é\": 1}".encode("latin-1"),
        "zeros": bytes(100), "deep lists": b"[" * 10**5, "deep": b'{"a":' * 10**5, "a long number": b"1" * 10**5, "not JSON": b"NaN", "lone quotes": b"{'a': 1}", "UTF-16 cut": '{"a": 1}'.encode("utf-16")[:-1]}


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_json_that_is_none(data, tmp_path):
    (tmp_path / "study.json").write_bytes(data)
    rejected(lambda p: read_json(p, "a file of results"), tmp_path / "study.json", "is not a file of results")


def with_entry(entry): return RUNS | {"recipes": {"classic": entry}}
def with_run(run): return with_entry({"settings": {}, "runs": [run]})


STUDIES = [{}, {"measured_on": "test"}, RUNS | {"measured_on": 3}, RUNS | {"measured_on": []}, RUNS | {"measured_on": "train"}, RUNS | {"recipes": []}, RUNS | {"recipes": None}, RUNS | {"recipes": {"classic": None}},
           *[with_entry(e) for e in (3, [], {}, {"settings": {}}, {"runs": []}, {"settings": [], "runs": []}, {"settings": {}, "runs": {}}, {"settings": {}, "runs": None})],
           *[with_run(r) for r in (3, None, [], {}, {"seed": 0}, {"accuracy": 1}, {"seed": "0", "accuracy": 0.9}, {"seed": True, "accuracy": 0.9}, {"seed": 0.5, "accuracy": 0.9}, {"seed": 0, "accuracy": "0.9"},
                                   {"seed": 0, "accuracy": None}, {"seed": 0, "accuracy": float("nan")}, {"seed": 0, "accuracy": 2}, {"seed": 0, "accuracy": -1}, {"seed": 0, "accuracy": float("inf")}, {"seed": 0, "accuracy": True})]]


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: json.dumps(s)[-60:])
def test_files_of_results_that_are_none(study, tmp_path, capsys):
    "`study` says so before it trains, and the file stays as it is"
    from mnist_cnn.cli import main
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study))
    before = path.read_bytes()
    assert main(["study", "classic", "--seeds", "0", "--json", str(path)]) == 1
    said = capsys.readouterr().err
    assert str(path) in said and len(said.splitlines()) == 1 and path.read_bytes() == before


# What is not a file

READERS = {"weights": lambda p: load_weights(net(), p), "idx": read_idx, "image": prepare_image, "json": lambda p: read_json(p, "results"), "bytes": read_bytes, "sha256": sha256_of, "regular": regular}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_devices_pipes_and_folders_are_not_read(read, tmp_path):
    "At once: /dev/zero never ends, a pipe waits for ever"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to the fifo").symlink_to(tmp_path / "fifo")
    (tmp_path / "to itself").symlink_to(tmp_path / "to itself")
    (tmp_path / "to nothing").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"x")
    for path in (Path("/dev/zero"), Path("/dev/null"), Path("/dev/tty"), tmp_path, tmp_path / "fifo", tmp_path / "to the fifo"):
        if path.exists(): rejected(read, path, "expected a file")
    for path in (tmp_path / "to itself", tmp_path / "to nothing", tmp_path / "nothing", tmp_path / "file" / "inside", tmp_path / ("x" * 300)): assert isinstance(rejected(read, path), OSError)
    for path in (None, 3, b"file", ["file"]):
        with pytest.raises((TypeError, ValueError)): read(path)
    with pytest.raises(ValueError, match="is not the name of a file"): read("a\0b")


def test_a_data_set_of_devices(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"): (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte: is a device or a pipe"): load_tensors(False, tmp_path)
    (folder / "train-images-idx3-ubyte").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte: is a device or a pipe"): unpack(tmp_path)


def test_too_large(tmp_path):
    (tmp_path / "a").write_bytes(bytes(11))
    rejected(lambda p: read_bytes(p, 10), tmp_path / "a", "holds 11 bytes; expected 10 at most")
    with open(tmp_path / "hole", "wb") as f: f.truncate(2**40)  # takes no room on the disk
    for read in (read_idx, READERS["json"]): rejected(read, tmp_path / "hole", "at most")
    rejected(READERS["image"], tmp_path / "hole")
    rejected(READERS["weights"], tmp_path / "hole")


# Writing

def write(path, data=b"new"):
    with atomic_write(path) as f: f.write(data)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o400, 0o755])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_the_mode_stays(mode, umask, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    before = os.umask(umask)
    try:
        write(path)
        write(tmp_path / "fresh")
    finally: os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o640) and path.read_bytes() == b"new"


def test_links_are_followed(tmp_path):
    "One, several, to a file that is not there yet, in a folder that is a link"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "one").symlink_to("b/file")
    (tmp_path / "two").symlink_to("one")
    for data in (b"first", b"second"):
        write(tmp_path / "two", data)
        assert (tmp_path / "a" / "file").read_bytes() == data and (tmp_path / "two").is_symlink() and (tmp_path / "one").is_symlink()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["file"]


@posix
def test_what_is_not_a_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    null = tmp_path / "null"  # a device of our own: as root, a fault here would cost the machine its /dev/null
    try: os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError: os.mkfifo(null)
    (tmp_path / "to null").symlink_to(null)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    before = null.stat().st_mode
    for path, says in [(tmp_path / "fifo", "is a device or a pipe"), (tmp_path / "to null", "is a device or a pipe"), (null, "is a device or a pipe"), (tmp_path / "folder", "is a folder"), (tmp_path / "file" / "inside", f"{tmp_path}/file is a file; give a path whose parents are folders"), (tmp_path / "file" / "a" / "b", "file is a file")]:
        for f in (write, lambda p: save_weights(net(), p), lambda p: check_writable(p, "CNN.pt"), lambda p: write_idx(p, np.zeros(1, np.uint8))): rejected(f, path, says)
    assert null.stat().st_mode == before and (tmp_path / "to null").is_symlink() and stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fifo", "file", "folder", "null", "to null"] and not list((tmp_path / "folder").iterdir())
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("at", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk(at, number, tmp_path, monkeypatch):
    "The file is named, the old one stays, and nothing is left beside it"
    path = tmp_path / "file"
    path.write_bytes(b"old")
    def fail(*_): raise OSError(number, os.strerror(number))
    if at != "write": monkeypatch.setattr(os, at, fail)
    with pytest.raises(OSError, match=re.escape(str(path))) as raised:
        with atomic_write(path) as f: fail() if at == "write" else f.write(b"new")
    assert raised.value.errno == number and path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, MemoryError, SystemExit])
def test_whatever_goes_wrong_the_old_file_stays(error, tmp_path):
    write(tmp_path / "file", b"old")
    with pytest.raises(error):
        with atomic_write(tmp_path / "file") as f:
            f.write(b"half")
            raise error
    assert (tmp_path / "file").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_only_leftovers_are_swept(tmp_path):
    keep = [".file.txt", "file", ".file", ".file.0123456", ".file.0123456g", ".other.01234567", ".file.01234567.pt", ".filex.01234567"]
    for name in keep + [".file.01234567", ".file.abcdef01"]: (tmp_path / name).write_bytes(b"")
    sweep(tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(keep)


# Locks and caches

def forked(f):
    "What `f` gives in a copy of this process, as text; or what it says, if it fails"
    r, w = os.pipe()
    if not (child := os.fork()):
        try: said = str(f())
        except BaseException as e: said = str(e)
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    with open(r) as f: said = f.read()
    os.waitpid(child, 0)
    return said


def enter(path):
    with locked(path): return "in"


@posix
def test_one_at_a_time(tmp_path):
    "Also by another name of the file, and for a file that is not there yet"
    path, link = tmp_path / "CNN.pt", tmp_path / "link"
    link.symlink_to(path)
    with locked(path):
        assert forked(lambda: enter(link)).startswith(f"{link}: another run is writing to it.")
        assert forked(lambda: enter(tmp_path / "other")) == "in"
        with pytest.raises(OSError, match="another run"): enter(path)
    assert forked(lambda: enter(path)) == "in"
    assert [p.name for p in tmp_path.iterdir()] == ["link"]  # no file of the lock's lies where the run writes


@posix
def test_many_processes_are_in_one_after_the_other(tmp_path):
    "No two at once, though each leaves its lock behind it"
    inside, children = tmp_path / "inside", []
    for _ in range(4):
        if child := os.fork():
            children.append(child)
            continue
        try:
            for _ in range(50):
                with locked(tmp_path / "file", wait=-1):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    os.unlink(inside)
        except BaseException: os._exit(1)
        os._exit(0)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


@posix
def test_nobody_else_can_plant_a_lock(tmp_path, monkeypatch):
    "A cache that others may write to, and a folder in the temporary one that is a link, or open to others: the run does not start"
    cache, temporary, target = tmp_path / "cache", tmp_path / "tmp", tmp_path / "target"
    for folder, mode in [(cache / "mnist_cnn", 0o777), (temporary, 0o1777), (target, 0o755)]:
        folder.mkdir(parents=True)
        folder.chmod(mode)
    (target / "precious").write_text("data")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert enter(tmp_path / "file") == "in"
    own = temporary / f"mnist_cnn-{os.geteuid()}"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700 and not list((cache / "mnist_cnn").iterdir())
    for left in own.iterdir(): left.unlink()
    own.chmod(0o777)
    with pytest.raises(OSError, match="belongs to somebody else, or others may write there"): enter(tmp_path / "file")
    own.rmdir()
    own.symlink_to(target)
    with pytest.raises(OSError, match="belongs to somebody else, or others may write there"): enter(tmp_path / "file")
    assert [(p.name, p.read_text()) for p in target.iterdir()] == [("precious", "data")]


@posix
@pytest.mark.parametrize("umask", [0o022, 0o002, 0, 0o077])
def test_a_cache_of_ours(umask, tmp_path, monkeypatch):
    "Made for its owner alone; a relative XDG_CACHE_HOME is none"
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.chdir(tmp_path)
    before = os.umask(umask)
    try: assert private_folder() == home / ".cache" / "mnist_cnn"
    finally: os.umask(before)
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o700 for p in (home / ".cache", home / ".cache" / "mnist_cnn")) and not (tmp_path / "here").exists()


@posix
@pytest.mark.parametrize("fault", ["a link", "its parent a link", "open to the group", "open to others", "a home open to the group", "a parent open to others", "a file", "another owner", "a parent of another owner"])
def test_a_cache_that_is_not_ours(fault, tmp_path, monkeypatch):
    if "owner" in fault and os.geteuid(): pytest.skip("only root can give folders away")
    home = tmp_path / "home"
    cache = home / ".cache" / "mnist_cnn"
    cache.mkdir(parents=True, mode=0o700)
    for p in (home, home / ".cache"): p.chmod(0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert private_folder() == cache
    if fault == "a link": (cache.rename(home / "elsewhere"), cache.symlink_to(home / "elsewhere"))
    elif fault == "its parent a link": ((home / ".cache").rename(home / "elsewhere"), (home / ".cache").symlink_to(home / "elsewhere"))
    elif fault == "a file": (cache.rmdir(), cache.write_text(""))
    elif fault == "a parent of another owner": os.chown(home / ".cache", 1234, 1234)
    elif fault == "another owner": os.chown(cache, 1234, 1234)
    else: {"open to the group": cache, "open to others": cache, "a home open to the group": home, "a parent open to others": home / ".cache"}[fault].chmod(0o777 if "others" in fault else 0o770)
    assert private_folder() is None
