"What the checks take, in what form they give it back, and what they reject: given, expected, on one line."
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.checks import (as_pixels, axes, chain, check_autocast, check_device, check_finite, check_function, check_generator, check_images, check_items, check_logits, check_model, check_number,
                              check_pair, check_params, check_probs, check_style, check_targets, check_texts, pairs, shown)

SHAPE = (2, 1, 3, 3)


def rejected(error, says, check, *args, **kw):
    "The error is of this very kind, and one short line"
    with pytest.raises(error) as raised: check(*args, **kw)
    text = str(raised.value)
    assert says in text and text.endswith(".") and "\n" not in text and len(text) < 300, text


@pytest.mark.parametrize("value, whole, found", [
    (16, True, 16), (np.int64(16), True, 16), (np.uint8(16), True, 16), (np.array(16), True, 16), (torch.tensor(16), True, 16), (0.5, False, 0.5),
    (np.float32(0.5), False, 0.5), (np.array(0.5), False, 0.5), (torch.tensor(0.5, requires_grad=True), False, 0.5), (Fraction(1, 2), False, 0.5), (3, False, 3)], ids=repr)
def test_numbers(value, whole, found):
    given = check_number("n", value, whole=whole)
    assert given == found and type(given) is type(found)


NO_NUMBERS = ["3", None, [1], (), {}, 1j, np.array([1., 2.]), torch.ones(2, 2), torch.tensor(1j), torch.empty((), device="meta"), np.str_("3"), torch.nested.nested_tensor([torch.ones(2)]), torch.tensor(1.).to_sparse(), object(), int]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: f"{type(v).__name__} {shown(v, 20)}")
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_not_a_number(value, whole):
    rejected(TypeError, "lr is ", check_number, "lr", value, above=0, whole=whole)


@pytest.mark.parametrize("value", [True, False, np.True_, torch.tensor(True), math.nan, math.inf, -math.inf, np.nan, np.float32("inf"), torch.tensor(math.nan),
                                   10**400, -10**400, np.array(False)], ids=lambda v: shown(v, 20))
@pytest.mark.parametrize("whole", [True, False])
def test_numbers_that_are_none(value, whole):
    rejected(ValueError, "; expected a", check_number, "n", value, whole=whole)


@pytest.mark.parametrize("value, bounds, says", [
    (-1, dict(above=0), "n is -1; expected a number above 0."), (0, dict(above=0), "expected a number above 0."), (1, dict(below=1), "expected a number below 1."),
    (1.5, dict(least=0, most=1), "expected a number at least 0 and at most 1."), (2.5, dict(whole=True), "n is 2.5; expected a whole number."),
    (16.0, dict(whole=True, least=1), "n is 16.0; expected a whole number at least 1."),
    (2**32, dict(whole=True, least=0, most=2**32 - 1), "at most 4,294,967,295.")])
def test_bounds(value, bounds, says):
    rejected(ValueError, says, check_number, "n", value, **bounds)


def test_models():
    model = nn.Linear(2, 2)
    assert check_model(model) is model
    rejected(TypeError, "Linear is a class; expected a network made from it: Linear().", check_model, nn.Linear)
    for wrong in ("CNN", None, 3, torch.ones(2), lambda x: x): rejected(TypeError, "is not a model", check_model, wrong)
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    rejected(ValueError, "Sequential has lazy layers without weights", check_model, lazy)
    lazy(torch.ones(1, 3))
    assert check_model(lazy) is lazy


class Chained(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers
    def as_sequential(self):
        if isinstance(self.layers, str): raise TypeError(self.layers)
        return self.layers


class NoMethod(nn.Module):
    as_sequential = 3


class Wrapped(nn.Sequential):
    def forward(self, x): return x - super().forward(x)


def test_chains():
    layers = nn.Sequential(nn.Linear(2, 2))
    assert chain(layers) is layers and chain(Chained(layers)) is layers
    for model in (nn.Linear(2, 2), NoMethod(), Wrapped(nn.ReLU())): rejected(ValueError, "is not a chain of layers", chain, model)
    for gives in (5, None, [nn.ReLU()]): rejected(ValueError, f"as_sequential of Chained gives {gives!r:.10}", chain, Chained(gives))
    rejected(ValueError, "it has no chain.", chain, Chained("it has no chain."))
    rejected(TypeError, "is a class", chain, Chained)


@pytest.mark.parametrize("x, pixel", [
    (torch.full(SHAPE, 255, dtype=torch.uint8), 1), (np.full(SHAPE, 255, np.uint8), 1), (torch.ones(SHAPE, dtype=torch.bool), 1), (torch.full(SHAPE, 7.), 7),
    (np.full(SHAPE, 0.5), 0.5), (np.full(SHAPE, 0.5, np.float16), 0.5), (torch.full(SHAPE, 2, dtype=torch.bfloat16), 2), (np.full(SHAPE, 0.5, ">f4"), 0.5),
    (np.ones(SHAPE)[..., ::-1], 1), (np.ones(SHAPE).tolist(), 1)], ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')}")
def test_one_rule_for_pixels(x, pixel):
    found = as_pixels(check_images(x))
    assert found.dtype == torch.float32 and found.shape == SHAPE and (found == pixel).all()


def test_mirrored_and_foreign_arrays_are_read_as_they_are():
    a = np.arange(18, dtype=">f4").reshape(SHAPE)
    assert torch.equal(check_images(a[..., ::-1]), torch.arange(18.).view(SHAPE).flip(-1))
    assert check_targets(np.array([1, 2, 3], ">i2")[::-1]).tolist() == [3, 2, 1]


STRANGE = {"a text": "abc", "None": None, "a dict": {1: 2}, "ragged": [[1., 2.], [3.]], "objects": np.array([object()]), "texts": np.array(["a"]), "a set": {1}, "huge": [10**30],
           "sparse": torch.ones(2, 3).to_sparse(), "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "meta": torch.ones(2, 3, device="meta"),
           "quantized": torch.quantize_per_tensor(torch.ones(2, 3), 1., 0, torch.quint8), "csr": torch.eye(3).to_sparse_csr(), "a model": nn.ReLU(), "a class": torch.Tensor}


@pytest.mark.parametrize("x", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("check", [check_images, check_targets, check_probs], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_a_tensor(check, x):
    rejected(TypeError, "; expected", check, x)


@pytest.mark.parametrize("x, error, says", [
    *[(torch.ones(SHAPE).to(d), TypeError, f"the images are of type {str(d)[6:]}; expected") for d in
      (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2)],
    *[(torch.full(SHAPE, v), ValueError, "the images hold NaN or infinite values") for v in (math.nan, math.inf, -math.inf)],
    *[(torch.ones(shape), ValueError, f"shape {shape}; expected N×C×H×W") for shape in ((), (3,), (3, 3), (1, 3, 3), (1, 1, 1, 3, 3))]], ids=str)
def test_images(x, error, says):
    rejected(error, says, check_images, x)


@pytest.mark.parametrize("y", [[0, 1, 2], (0, 1, 2), range(3), np.arange(3), np.arange(3, dtype=np.uint16), np.arange(3, dtype=np.uint64), torch.arange(3), torch.arange(3, dtype=torch.uint8)],
                         ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')}")
def test_targets_in_each_form(y):
    found = check_targets(y, 3, 3)
    assert found.dtype == torch.int64 and found.tolist() == [0, 1, 2]


@pytest.mark.parametrize("y, more, says", [
    ([0.9, 1.], {}, "the targets are float32 (2,); expected a whole number for each image."), ([1j], {}, "complex64"), ([True], {}, "bool"), ([[1]], {}, "int64 (1, 1)"),
    (3, {}, "int64 ()"), ([-1], {}, "a target is -1; expected classes, 0 or more."), ([1, 2], dict(n=3), "3 images but 2 targets"),
    ([1, 2], dict(n_classes=2), "a target is 2; expected classes 0 to 1."), (np.array([2**63], np.uint64), {}, "a target is -9223372036854775808"), (torch.ones(2).half(), {}, "float16")])
def test_targets(y, more, says):
    rejected(ValueError, says, check_targets, y, **more)


@pytest.mark.parametrize("probs", [[[0.25, 0.75]], np.array([[0.25, 0.75]]), torch.softmax(torch.randn(5, 1000), 1).half(), torch.ones(3, 1), torch.empty(0, 10)],
                         ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')}")
def test_probabilities_in_each_form(probs):
    assert check_probs(probs).shape[1] == len(probs[0]) if len(probs) else True


@pytest.mark.parametrize("probs", [[[0.5, 0.6]], [[-0.5, 1.5]], [[math.nan, 1.]], [[math.inf, 0.]], [[0, 1]], [0.5, 0.5], [[[1.]]], torch.empty(2, 0), [[1j]], torch.tensor([[1., 0.]]).to(torch.float8_e5m2),
                                   [[True, False]]], ids=str)
def test_probabilities(probs):
    rejected(ValueError, "the probabilities are", check_probs, probs)


@pytest.mark.parametrize("logits", [torch.ones(3), torch.ones(2, 1, 28, 28), torch.ones(3, 10, dtype=torch.int64), torch.ones(3, 10, dtype=torch.complex64), torch.ones(3, 0), (torch.ones(3, 10),), None, {}],
                         ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')} {tuple(getattr(v, 'shape', ()))}")
def test_logits(logits):
    rejected(ValueError, "ReLU gives ", check_logits, logits, torch.arange(3), nn.ReLU())


def test_logits_for_each_class():
    logits = torch.ones(3, 10)
    assert check_logits(logits, torch.arange(3), nn.ReLU()) is logits is check_logits(logits, None, nn.ReLU())
    rejected(ValueError, "a target is 10, but ReLU has logits for the classes 0 to 9 only.", check_logits, logits, torch.tensor([0, 1, 10]), nn.ReLU())
    rejected(ValueError, "ReLU gives 3 rows of logits for 6 images; expected one for each.", check_logits, logits, None, nn.ReLU(), 6)
    soft = torch.softmax(torch.randn(3, 10), 1)
    assert check_logits(logits, soft, nn.ReLU()) is logits
    for targets in (soft[0, :3], torch.arange(3).int(), torch.arange(3)[:, None], torch.ones(3).bool()): rejected(ValueError, "the targets are ", check_logits, logits, targets, nn.ReLU())


def test_models_that_hold_data():
    model = nn.Linear(2, 2, device="meta")
    assert check_model(model) is model
    rejected(ValueError, "Linear is on the meta device", check_model, model, data=True)
    rejected(ValueError, "ReLU gives NaN or infinite values", check_finite, torch.tensor([1., math.nan]), nn.ReLU())


@pytest.mark.parametrize("values", ["abc", b"abc", {1: 2}, {1}, None, 3, torch.tensor(3), nn.ReLU(), object()], ids=lambda v: shown(v, 20))
def test_lists(values):
    assert check_items("x", (i for i in range(2)), "numbers") == [0, 1]
    rejected(TypeError, "; expected a list of numbers.", check_items, "x", values, "numbers")


def test_texts():
    assert check_texts("titles", torch.tensor([7, 8, 9]), 2) == ["7", "8"] and check_texts("titles", (None, 1.5, "a")) == ["", "1.5", "a"]
    rejected(ValueError, "titles holds 1 texts; expected 2, one for each.", check_texts, "titles", ["a"], 2)
    rejected(TypeError, "titles is 'ab'; expected a list of texts.", check_texts, "titles", "ab", 2)


def test_functions_generators_and_types():
    rng = torch.Generator()
    assert check_function("f", len, "len") is len and check_generator(rng) is rng and check_autocast(torch.bfloat16) is torch.bfloat16
    rejected(TypeError, "f is 3; expected a function, such as len.", check_function, "f", 3, "len")
    rejected(TypeError, "; expected a torch.Generator.", check_generator, np.random.default_rng())
    for dtype in ("bfloat16", torch.int64, torch.complex64, torch.ones(2), 16): rejected(TypeError, "autocast is ", check_autocast, dtype)


@pytest.mark.parametrize("device", ["gpu", "meta", 10**400, -1, None, True, SHAPE, torch.ones(2), nn.ReLU()], ids=lambda v: shown(v, 20))
def test_devices(device):
    assert check_device("cpu") == check_device(torch.device("cpu")) == torch.device("cpu")
    rejected(ValueError, "expected a device that", check_device, device)


X, Y = torch.ones(SHAPE), torch.arange(2)


@pytest.mark.parametrize("pair, error", [
    *[(p, TypeError) for p in ((X,), X, None, "xy", (X, [0, 1]), (X.numpy(), Y), (X.to_sparse(), Y), (X.to("meta"), Y), (X, torch.tensor(1)), {"x": X, "y": Y}, 3)], ((X, Y[:1]), ValueError)], ids=lambda v: shown(v, 20))
def test_pairs(pair, error):
    assert check_pair([X, Y]) == (X, Y) and len(list(pairs(iter([(X, Y)] * 2)))) == 2
    rejected(error, "; expected ", check_pair, pair)
    rejected(error, "one of valid ", list, pairs([(X, Y), pair], "valid"))


def test_what_yields_no_batches():
    for batches in (3, None, nn.ReLU(), torch.tensor(3)): rejected(TypeError, "expected batches (xb, yb)", list, pairs(batches))


def test_parameters():
    model = nn.Linear(2, 2)
    assert [id(p) for p in check_params(model.parameters())] == [id(p) for p in model.parameters()]
    for wrong in ([], "ab", 3, model, X, model.state_dict(), [X, None], [Y], [X.to_sparse()], nn.LazyLinear(2).parameters()): rejected(TypeError, "parameters, as model.parameters() gives them.", check_params, wrong)


def test_drawings():
    fig, ax = axes(None, 3, 2)
    assert axes(ax, 9, 9) == (fig, ax) and tuple(fig.get_size_inches()) == (3, 2)
    for wrong in (fig, 3, "ax", X): rejected(TypeError, "expected matplotlib's axes", axes, wrong, 3, 2)
    check_style("#0072B2", "o"), check_style(None, "s")
    for color in ("no color", 3, X, []): rejected(ValueError, "color is ", check_style, color, "o")
    for marker in ("no marker", X, {}): rejected(ValueError, "marker is ", check_style, "red", marker)


@pytest.mark.parametrize("x, more, error, says", [
    (X.byte(), dict(floats=True), TypeError, "x.float() / 255"), (X[:0], dict(least=1), ValueError, "expected at least 1, with pixels."), (X[:, :, :0], dict(least=1), ValueError, "with pixels"),
    (X[:1], dict(least=2), ValueError, "expected at least 2")], ids=str)
def test_images_for_more(x, more, error, says):
    rejected(error, says, check_images, x, **more)
