"What must hold for any setting, tried on many: `HYPOTHESIS_PROFILE=long pytest tests/test_properties.py` tries fifty times as many."
import itertools, math, os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, reject
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import nn

from mnist_cnn.conv import find_conv, out_size, receptive_field, transposed_out_size
from mnist_cnn.data import Batches, prepare_image
from mnist_cnn.evaluation import accuracy_interval, confusion_matrix
from mnist_cnn.checkpoint import Checkpoint, _set_random_states
from mnist_cnn.files import load_weights, save_weights
from mnist_cnn.training import fit

settings.register_profile("short", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

SMALL = st.integers(1, 5)


def one_or_each(numbers, n):
    "An int for all of `n` dimensions, or one for each"
    return st.one_of(numbers, st.tuples(*[numbers] * n))


def each(value, n): return value if isinstance(value, tuple) else (value,) * n


def either(ours, torchs):
    "Both give the same, or both refuse; an output without a pixel, which some of PyTorch's layers make and others refuse, counts as refused"
    try: theirs = torchs()
    except RuntimeError as e: theirs = str(e)
    if isinstance(theirs, str) or 0 in theirs:
        with pytest.raises(ValueError): print(ours(), "where PyTorch says", theirs)
    else: assert ours() == theirs


# The arithmetic of convolutions, against PyTorch's own layers

@given(st.data(), st.integers(1, 3))
def test_out_size_is_pytorchs(data, n):
    size, k, d = (data.draw(one_or_each(v, n)) for v in (st.integers(1, 12), SMALL, st.integers(1, 3)))
    p = data.draw(st.one_of(one_or_each(st.integers(0, 4), n), st.sampled_from(["same", "same", "valid"])))
    s = 1 if p == "same" else data.draw(one_or_each(SMALL, n))
    x, w = torch.zeros(1, 1, *each(size, n)), torch.zeros(1, 1, *each(k, n))
    conv = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    either(lambda: each(out_size(size, k, s, p, d), n),
           lambda: tuple(conv(x, w, stride=s, padding=p, dilation=d).shape[2:]))


@given(st.data(), st.integers(1, 3), st.booleans(), st.sampled_from(["max", "avg"]))
def test_out_size_of_pools_is_pytorchs(data, n, ceil_mode, kind):
    size, k, s = (data.draw(one_or_each(v, n)) for v in (st.integers(1, 14), SMALL, SMALL))
    d = data.draw(one_or_each(st.integers(1, 3), n)) if kind == "max" else 1
    p = data.draw(one_or_each(st.integers(0, 3), n))
    assume(all(a <= b // 2 for a, b in zip(each(p, n), each(k, n))))
    pool = {"max": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), "avg": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)}[kind][n - 1]
    more = dict(dilation=d) if kind == "max" else {}
    if (kind, n) == ("avg", 3): assume(all(a >= b for a, b in zip(each(size, n), each(k, n))))  # what AvgPool3d alone asks for
    x = torch.zeros(1, 1, *each(size, n))
    either(lambda: each(out_size(size, k, s, p, d, ceil_mode), n),
           lambda: tuple(pool(k, s, p, ceil_mode=ceil_mode, **more)(x).shape[2:]))


@given(st.data(), st.integers(1, 3))
def test_transposed_out_size_is_pytorchs(data, n):
    size, k, s, d = (data.draw(one_or_each(v, n)) for v in (st.integers(1, 8), SMALL, SMALL, st.integers(1, 3)))
    p, extra = (data.draw(one_or_each(v, n)) for v in (st.integers(0, 4), st.integers(0, 4)))
    layer = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n - 1]
    x = torch.zeros(1, 1, *each(size, n))
    either(lambda: each(transposed_out_size(size, k, s, p, extra, d), n),
           lambda: tuple(layer(1, 1, k, s, p, extra, dilation=d)(x).shape[2:]))


@given(st.integers(1, 20), SMALL, SMALL, st.integers(0, 3), st.integers(1, 3), st.integers(0, 30))
def test_transposed_undoes_the_size(size, k, s, p, d, room):
    "The transposed layer with the same settings has the input's size among its outputs, one for each output_padding"
    assume(size + 2*p >= d*(k - 1) + 1)
    out = out_size(size, k, s, p, d)
    left = (size + 2*p - d*(k - 1) - 1) % s
    assert transposed_out_size(out, k, s, p, left, d) == size


@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 2), st.booleans())
def test_find_conv_finds_all_and_only_those_that_fit(size, wanted, d, square):
    found = find_conv((size, size) if square else size, (wanted, wanted) if square else wanted, range(1, 5), range(1, 4), range(3), d)
    fits = []
    for k, s, p in itertools.product(range(1, 5), range(1, 4), range(3)):
        try: out = nn.Conv1d(1, 1, k, s, p, d, device="meta")(torch.zeros(1, 1, size, device="meta")).shape[2]
        except RuntimeError: continue
        if out == wanted: fits.append((k, s, p, d))
    assert sorted(map(tuple, found)) == fits


@given(st.data(), st.integers(1, 4), st.integers(1, 2))
def test_receptive_field_is_where_the_gradient_is(data, depth, n):
    "Of an output that sees no padding: the first and the last input pixel that moves it, in each dimension"
    layers = []
    for _ in range(depth):
        k, s = (data.draw(one_or_each(st.integers(1, 4), n)) for _ in range(2))
        if data.draw(st.booleans()):
            p, d = data.draw(one_or_each(st.integers(0, 3), n)), data.draw(one_or_each(st.integers(1, 3), n))
            layers.append((nn.Conv1d, nn.Conv2d)[n - 1](1, 1, k, s, p, d).double())
            for t in layers[-1].parameters(): nn.init.ones_(t)  # so that no path has a slope of 0
        else: layers.append((nn.AvgPool1d, nn.AvgPool2d)[n - 1](k, s, data.draw(st.integers(0, min(each(k, n)) // 2))))
        layers.append(nn.ReLU())
    sizes, steps, offsets = (each(v, n) for v in receptive_field(layers))
    at = [max(0, math.ceil(((size - 1)/2 - o) / step)) for size, step, o in zip(sizes, steps, offsets)]
    ends = [int(o + i*step + (size - 1)/2) + 2 for size, step, o, i in zip(sizes, steps, offsets, at)]
    assume(math.prod(ends) < 40_000)
    x = torch.ones(1, 1, *ends, dtype=torch.float64, requires_grad=True)
    nn.Sequential(*layers)(x)[(0, 0, *at)].backward()
    seen = x.grad[0, 0].nonzero()
    for dim in range(n):
        first, last = seen[:, dim].min().item(), seen[:, dim].max().item()
        assert last - first + 1 == sizes[dim]
        assert (first + last)/2 == offsets[dim] + at[dim]*steps[dim]


# Batches

@given(st.integers(1, 200), st.integers(1, 70), st.booleans(), st.booleans(), st.integers(1, 5), st.integers(1, 80))
def test_every_sample_once_in_each_pass(n, bs, shuffle, drop_last, n_ranks, chunk):
    "For any number of processes, whose parts of a batch differ by one sample at most and make the batch that one process would have"
    assume(not drop_last or n >= bs)
    x, y = torch.arange(n).reshape(n, 1, 1, 1).expand(n, 2, 1, 1).float(), torch.arange(n)  # two channels: no image, whose floats would have to be pixels
    def passes(share, seed=1):
        batches = Batches(x, y, bs, shuffle, drop_last=drop_last, share=share)
        batches._chunk = chunk  # so that few samples make many chunks
        torch.manual_seed(seed)
        return [list(batches), list(batches)], batches
    alone, batches = passes((0, 1))
    ranks = [passes((r, n_ranks))[0] for r in range(n_ranks)]
    assert batches.n == (n // bs * bs if drop_last else n) and len(batches) == len(alone[0])
    for k, whole in enumerate(alone):
        seen = torch.cat([yb for _, yb in whole]).tolist()
        assert len(seen) == batches.n == len(set(seen)) and (shuffle or seen == list(range(batches.n)))
        assert all(len(yb) == bs for _, yb in whole[:-1]) and len(whole[-1][1]) in (range(bs, bs + 1) if drop_last else range(1, bs + 1))
        for i, (xb, yb) in enumerate(whole):
            assert xb[:, 0].flatten().tolist() == yb.tolist() and xb.shape[1:] == (2, 1, 1)
            parts = [rank[k][i] for rank in ranks]
            assert sorted(v for _, part in parts for v in part.tolist()) == sorted(yb.tolist())
            assert all(a[:, 1].flatten().tolist() == b.tolist() for a, b in parts)
            assert max(len(p) for _, p in parts) - min(len(p) for _, p in parts) <= 1


@given(st.integers(1, 60), st.integers(1, 20), st.floats(-1, 1), st.floats(0.1, 3), st.integers(0, 2**32 - 1))
def test_pixels_of_batches(n, bs, mean, std, seed):
    "Bytes become floats from 0 to 1, then normalised; `with_bs` gives the same in batches of another size"
    x = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 1, 2, 3), np.uint8))
    batches = Batches(x, torch.zeros(n, dtype=torch.long), bs, mean=mean, std=std)
    expected = (x.double() / 255 - mean) / std
    for b in (batches, batches.with_bs(bs + 3)):
        found = torch.cat([xb for xb, _ in b])
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert x.dtype == torch.uint8 and x.max() <= 255  # the data itself is as it was


# Digits from elsewhere

@st.composite
def drawings(draw):
    "A stroke of a pen's width through random points, as black on white, cropped to its ink"
    side = draw(st.integers(24, 140))
    points = draw(st.lists(st.tuples(*[st.integers(0, side - 1)] * 2), min_size=2, max_size=8, unique=True))
    image = Image.new("L", (side, side), 0)
    ImageDraw.Draw(image).line(points, 255, draw(st.integers(max(2, side // 12), side // 7 + 1)), "curve")
    ink = np.asarray(image.crop(image.getbbox()))
    assume(max(ink.shape) >= 20 and (ink > 0).mean() < 0.6)  # not a dot, a blot or a bar
    return ink


def on_paper(ink, top, left, below, right, paper, pen):
    a = np.full((top + ink.shape[0] + below, left + ink.shape[1] + right), paper, np.uint8)
    a[top:top + ink.shape[0], left:left + ink.shape[1]][ink > 0] = pen
    return a


def prepared(image):
    "What `prepare_image` makes of it, if it finds a digit: a straight line or a blot is none"
    try: return prepare_image(image)
    except ValueError: reject()


MARGIN = st.integers(8, 300)

@given(drawings(), st.tuples(MARGIN, MARGIN, MARGIN, MARGIN), st.tuples(MARGIN, MARGIN, MARGIN, MARGIN), st.sampled_from([(255, 0), (0, 255), (200, 30), (40, 250)]))
def test_a_digit_is_prepared_alike_wherever_it_stands(ink, here, there, colours):
    a, b = (prepared(on_paper(ink, *margins, *colours)) for margins in (here, there))
    assert torch.equal(a, b)
    assert a.dtype == torch.uint8 and a.shape == (1, 28, 28) and a.max() == 255
    rows, cols = a[0].any(1).nonzero().flatten(), a[0].any(0).nonzero().flatten()
    assert max(r[-1] - r[0] + 1 for r in (rows, cols)) == 20
    for at, mass in ((rows, a[0].double().sum(1)), (cols, a[0].double().sum(0))):
        centre = (mass @ torch.arange(28.).double() / mass.sum()).item()
        assert abs(centre - 14) < 0.55 or at[0] == 0 or at[-1] == 27  # no farther than the 28 pixels reach


@given(drawings(), st.floats(0.3, 1))
def test_ink_and_paper_may_be_of_any_brightness(ink, contrast):
    "Dark on light, light on dark, and paler: the same digit, up to rounding"
    plain, inverse = on_paper(ink, 9, 9, 9, 9, 255, 0), on_paper(ink, 9, 9, 9, 9, 0, 255)
    digits = [prepared(a).int() for a in (plain, inverse, plain / 255, 1 - contrast*(inverse / 255))]
    assert all((d - digits[0]).abs().max() <= 2 for d in digits)


# What is written and read again

@st.composite
def models(draw):
    "Layers of random sizes and of a random type, with any finite numbers in them"
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    c, k, n = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    def make(): return nn.Sequential(nn.Conv2d(1, c, k), nn.BatchNorm2d(c), nn.Flatten(), nn.Linear(c, n)).to(dtype)
    model, rng = make(), torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    for p in model.parameters():
        p.data.copy_(torch.randn(p.shape, generator=rng) * 10.**draw(st.integers(-4, 4)))
    if draw(st.booleans()): model.to(memory_format=torch.channels_last)
    return model, make()


def bits(state): return {k: (v.dtype, tuple(v.shape), v.contiguous().view(torch.uint8).tolist() if v.ndim else v.item()) for k, v in state.items()}


@given(models())
def test_weights_come_back_bit_for_bit(tmp_path_factory, pair):
    model, other = pair
    path = tmp_path_factory.getbasetemp() / "weights é" / "w.pt"
    save_weights(model, path)
    assert load_weights(other, path) is other and bits(other.state_dict()) == bits(model.state_dict())
    assert [p.name for p in path.parent.iterdir()] == ["w.pt"]


@given(models(), st.sampled_from([float("nan"), float("inf"), -float("inf")]), st.integers(0, 10**6))
def test_a_number_that_is_none_is_refused(tmp_path_factory, pair, bad, at):
    "Wherever it is; and the model stays as it was"
    model, other = pair
    p = list(model.parameters())[at % 6].data.view(-1)
    p[at % len(p)] = bad
    path, before = tmp_path_factory.getbasetemp() / "nan.pt", bits(other.state_dict())
    save_weights(model, path)
    with pytest.raises(ValueError, match="NaN or infinite"): load_weights(other, path)
    assert bits(other.state_dict()) == before


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2**60, 2**60), st.floats(allow_nan=False), st.text(max_size=20))

@settings(max_examples=settings.default.max_examples // 4)
@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=5), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_checkpoints_come_back(tmp_path_factory, given_settings, n_epochs, seed):
    "Settings, history, weights, optimizer and random numbers, whatever they are"
    path = tmp_path_factory.getbasetemp() / "c.checkpoint"
    path.unlink(missing_ok=True)
    torch.manual_seed(seed)
    model, train = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), Batches(torch.randn(8, 1, 1, 3), torch.randint(2, (8,)), bs=3, shuffle=True)
    history = fit(model, train, n_epochs=n_epochs, device="cpu", callbacks=[Checkpoint(path, settings=given_settings)])
    after = torch.rand(3).tolist(), np.random.rand(3).tolist()
    kept = Checkpoint(path, resume=True)
    for name, value in given_settings.items(): assert kept.run[name] == value or name in ("lr", "loss", "batches", "n_epochs", "optimizer", "augment", "autocast")
    assert [row[:4] for row in kept.state["history"]] == [(e.epoch, e.loss, e.train_accuracy, None) for e in history] and kept.state["middle"] is None
    assert bits(kept.state["model"]) == bits(model.state_dict()) and kept.state["opt"]["n_steps"] == 3 * n_epochs
    _set_random_states(kept.state["random"], torch.device("cpu"))
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist()) == after


# Measures

@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.5, 4))
def test_accuracy_interval_is_wilsons(n, share, z):
    "Its ends are the two accuracies p from which the measured one is just z standard deviations sqrt(p(1 - p)/n) away"
    measured = round(share * n) / n
    low, high = accuracy_interval(measured, n, z)
    roots = np.roots([1 + z*z/n, -(2*measured + z*z/n), measured**2])  # (measured - p)² = z² p (1 - p)/n
    assert sorted(roots.real) == pytest.approx([low, high], abs=1e-6) and abs(roots.imag).max() < 1e-6
    assert 0 <= low <= measured + 1e-12 and measured - 1e-12 <= high <= 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=80))
def test_confusion_matrix_counts(pairs):
    targets, preds = map(torch.tensor, zip(*pairs))
    cm, counts = confusion_matrix(targets, preds, 10), np.zeros((10, 10), int)
    for t, p in pairs: counts[t, p] += 1
    assert (cm.counts.numpy() == counts).all()
    assert cm.accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    assert sum(n for _, _, n in cm.most_confused(90)) == sum(t != p for t, p in pairs)
