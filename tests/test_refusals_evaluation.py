"What the functions of evaluation, uncertainty, interpretation and position reject, each with a sentence that says what was expected."
import math

import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.data import load_tensors
from mnist_cnn.evaluation import (accuracy, accuracy_interval, blurred, confusion_matrix, covered, mistakes, noisy, predict, robustness, rotated, scaled, shifted)
from mnist_cnn.interpretation import (activations, grad_cam, integrated_gradients, occlusion, principal_components, saliency, show_maps, top_patches)
from mnist_cnn.model import SimpleCNN
from mnist_cnn.position import shift_error
from mnist_cnn.uncertainty import disputed, fit_temperature, mcnemar, reliability, with_temperature
from mnist_cnn.widgets import explore_confusions

torch.manual_seed(0)
X, Y = (t[:20] for t in load_tensors(train=False))
MODEL, PIXELS = SimpleCNN(), X.float() / 255
P, T = torch.rand(20, 10).softmax(1), Y
CHAIN, CM = MODEL.as_sequential(), confusion_matrix(Y, Y, 10)


class Constant(nn.Module):
    "The same logits for everything"
    def forward(self, x): return torch.ones(len(x), 10)


class Undefined(nn.Module):
    def forward(self, x): return x.flatten(1)[:, :10] * math.nan


@pytest.mark.parametrize("call", [
    lambda: reliability(3 * P, T), lambda: reliability(math.nan * P, T), lambda: reliability(P, T, 0), lambda: reliability(P[0], T), lambda: reliability(P, T.float()),
    lambda: mistakes(P, T[:3]), lambda: mistakes(P, T + 20), lambda: fit_temperature(P[:0], T[:0]), lambda: fit_temperature(torch.eye(10) * 0.9 + 0.01, torch.arange(10)),
    lambda: mcnemar([], [], []), lambda: mcnemar(T, T, T[:5]), lambda: confusion_matrix([0, 2], [0, 1], n_classes=2), lambda: confusion_matrix([0.9, 1.2], [0, 1]),
    lambda: confusion_matrix([0, -1], [0, 1]), lambda: explore_confusions(X[:5], T, T), lambda: accuracy_interval(0.9, 100, z=-1.96), lambda: accuracy_interval(1.1, 100),
    lambda: accuracy_interval(math.nan, 100), lambda: accuracy_interval(0.9, 0)])
def test_measures(call):
    with pytest.raises((ValueError, TypeError), match="expected|all answers are right"): call()


@pytest.mark.parametrize("call", [
    lambda: predict(MODEL, torch.full((2, 1, 28, 28), math.nan)), lambda: predict(MODEL, X.long()), lambda: predict(MODEL, PIXELS.to(torch.complex64)),
    lambda: predict(nn.Conv2d(1, 2, 3, padding=1), PIXELS), lambda: shifted(X, 1.5), lambda: rotated(X, math.nan), lambda: scaled(X, math.inf), lambda: blurred(X, -1),
    lambda: noisy(X, -1), lambda: covered(X, 1.5), lambda: covered(PIXELS, 29), lambda: robustness([], X, T, shifted, [1])])
def test_images_and_distortions(call):
    with pytest.raises((ValueError, TypeError), match="expected|are all pixels"): call()


@pytest.mark.parametrize("call, why", [
    (lambda: show_maps(MODEL.conv1.weight), "expected N×H×W"), (lambda: show_maps(PIXELS[:, 0] * 1j), "complex64"), (lambda: show_maps(PIXELS[:, 0] * math.nan), "NaN"), (lambda: show_maps("maps"), "maps are 'maps'"),
    (lambda: show_maps(PIXELS[:3, 0], titles=["a"]), "titles holds 1 texts; expected 3"), (lambda: show_maps(PIXELS[:3, 0], over=PIXELS[:3]), "expected digits like the maps"), (lambda: show_maps(PIXELS[:3, 0], n_cols=0), "n_cols is 0"),
    (lambda: show_maps(PIXELS[:0, 0]), "expected N×H×W"), (lambda: show_maps(PIXELS[:3, 0], size="1"), "size is '1'"),
    (lambda: activations(MODEL, PIXELS, "conv3"), "it has conv1, conv2, pool, fc1, fc2"), (lambda: activations(MODEL, PIXELS, ["conv1"]), "it has conv1, conv2"), (lambda: activations(3, PIXELS, "conv1"), "not a model"),
    (lambda: activations(MODEL, X, "conv1"), r"x.float\(\) / 255"), (lambda: activations(MODEL, PIXELS.to_sparse(), "conv1"), "sparse"), (lambda: activations(SimpleCNN().to("meta"), PIXELS, "conv1"), "on the meta device"),
    (lambda: activations(MODEL, PIXELS, "pool"), "runs 2 times"), (lambda: top_patches(MODEL, PIXELS[:3], "conv2", n=4), "at least 1 and at most 3"), (lambda: top_patches(MODEL, PIXELS, "conv2", n=2.), "n is 2.0"),
    (lambda: top_patches(nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3))), PIXELS, "0.0"), "not one of the layers"), (lambda: top_patches(nn.Linear(2, 2), PIXELS, "a"), "not a chain of layers"),
    (lambda: saliency(MODEL, PIXELS, 10), "at most 9"), (lambda: saliency(MODEL, PIXELS, T + 5), "expected classes 0 to 9"), (lambda: saliency(MODEL, PIXELS[:2], T[:1]), "one target for each"), (lambda: saliency(MODEL, PIXELS, T.float()), "the targets are float32"),
    (lambda: saliency(MODEL, X[:2], 0), r"x.float\(\) / 255"), (lambda: saliency(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), PIXELS, 0), "lazy"), (lambda: saliency(MODEL, PIXELS[:0], T[:0]), "at least 1"),
    (lambda: saliency(nn.Flatten(2), PIXELS, 0), "expected logits"), (lambda: saliency(Constant(), PIXELS, 0), "do not depend on"), (lambda: saliency(Undefined(), PIXELS, 0), "NaN or infinite"),
    (lambda: grad_cam(CHAIN, PIXELS, T, "7"), "expected maps C×H×W"), (lambda: grad_cam(CHAIN, PIXELS, T, "layer4"), "it has 0, 1"), (lambda: grad_cam(SimpleCNN.pretrained(), PIXELS * 1e38, T, "conv2"), "NaN or infinite"),
    (lambda: occlusion(MODEL, PIXELS, T, size=29), "at most 28"), (lambda: occlusion(MODEL, PIXELS, T, value=math.nan), "value is nan"), (lambda: occlusion(MODEL, "digits", T), "the images are 'digits'"),
    (lambda: principal_components(torch.full((3, 2), torch.nan)), "features hold NaN"), (lambda: principal_components(P, 33), "at most 10"), (lambda: principal_components(P, "2"), "k is '2'"),
    (lambda: principal_components(torch.ones(5, 3)), "expected points that differ"), (lambda: principal_components(X[0, 0]), "of type uint8"), (lambda: saliency(MODEL, torch.full((1, 1, 28, 28), torch.nan), 3), "images hold NaN"),
    (lambda: integrated_gradients(MODEL, PIXELS[:1], 3, baseline=torch.zeros(3)), r"baseline is \(3,\)"), (lambda: integrated_gradients(MODEL, PIXELS, T, baseline=math.nan), "baseline is nan"),
    (lambda: integrated_gradients(MODEL, PIXELS, T, baseline=PIXELS * math.nan), "the baseline hold NaN"), (lambda: integrated_gradients(MODEL, PIXELS, T, baseline="white"), "baseline is 'white'"),
    (lambda: integrated_gradients(MODEL, PIXELS, T, n_steps=1.5), "n_steps is 1.5"), (lambda: integrated_gradients(MODEL, PIXELS, T, n_steps=0), "n_steps is 0"),
    (lambda: shift_error(lambda x: x, PIXELS, 1, along=-1), "along is -1"), (lambda: shift_error(nn.LazyLinear(2), PIXELS, 1), "lazy"), (lambda: shift_error(lambda x: x, PIXELS[:1], 1), "at least 2"), (lambda: shift_error(3, PIXELS, 1), "f is 3"),
    (lambda: shift_error(len, PIXELS, 1), "expected floats, maps"), (lambda: shift_error(lambda x: 0 * x, PIXELS, 1), "the same for all images"), (lambda: shift_error(lambda x: x, PIXELS, 1.5), "right is 1.5")])
def test_interpretation(call, why):
    with pytest.raises((TypeError, ValueError), match=why): call()


@pytest.mark.parametrize("call, why", [
    (lambda: CM.most_confused(1.5), "k is 1.5"), (lambda: CM.plot(classes="0123456789"), "classes is '0123456789'"), (lambda: CM.plot(classes=["a"]), "classes holds 1 texts; expected 10"),
    (lambda: confusion_matrix(T, T[:3]), "each sample in both"), (lambda: confusion_matrix(T, P), r"take argmax\(1\)"), (lambda: confusion_matrix(T, T, n_classes=2.5), "n_classes is 2.5"), (lambda: confusion_matrix(T + 2**40, T), "expected 0 to 9,999"),
    (lambda: confusion_matrix("abc", T), "the targets are 'abc'"), (lambda: with_temperature(3 * P, 2.), "the sum 1"), (lambda: with_temperature(P, math.nan), "temperature is nan"), (lambda: with_temperature(P, 0), "temperature is 0"),
    (lambda: with_temperature(P[0], 2.), "expected floats N×classes"), (lambda: reliability(P, T, 1.5), "n_bins is 1.5"), (lambda: reliability(P, T).plot(ax=3), "ax is 3"), (lambda: reliability(P, T).plot(color="no color"), "color is 'no color'"),
    (lambda: reliability(P, T).plot(marker=P), "marker is"), (lambda: mcnemar(T.float(), T, T), "the targets are float32"), (lambda: mcnemar(T, P, T), "the first answers are float32"), (lambda: mcnemar(T, T, "abc"), "the second answers are 'abc'"),
    (lambda: disputed(P, T), "expected M×N×classes"), (lambda: disputed(2 * torch.stack([P, P]), T), "the sum 1"), (lambda: disputed(torch.stack([P, P]), T.float()), "the targets are float32"), (lambda: disputed("probs", T), "the probabilities are 'probs'"),
    (lambda: accuracy_interval(0.9, 100, z=1e300), "z is 1e"), (lambda: accuracy(MODEL, 3), "expected batches"), (lambda: accuracy(MODEL, [X]), "two tensors"), (lambda: accuracy(MODEL, [(PIXELS, T.float())]), "the targets are float32")])
def test_scores(call, why):
    with pytest.raises((TypeError, ValueError), match=why): call()


@pytest.mark.parametrize("distort", [shifted, lambda x: rotated(x, 9), lambda x: scaled(x, 1.1), lambda x: blurred(x, 1.), lambda x: noisy(x, 0.1), lambda x: covered(x, 5)], ids="shifted rotated scaled blurred noisy covered".split())
def test_what_is_not_distorted(distort):
    "Each takes an array, and rejects what holds no images, before it draws anything"
    assert torch.is_tensor(distort(X.numpy()))
    before = torch.get_rng_state()
    for wrong in ("digits", None, 3, X[0, 0, 0], PIXELS.to_sparse(), PIXELS.to("meta"), np.array([None]), {}):
        with pytest.raises((TypeError, ValueError), match="expected"): distort(wrong)
    if distort is not shifted:
        for wrong in (X[:, 0], X[:, :, :0], PIXELS * math.nan, PIXELS * 1j, X.int()):
            with pytest.raises((TypeError, ValueError), match="expected"): distort(wrong)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("call, why", [
    (lambda: rotated(X, "9"), "degrees is '9'"), (lambda: scaled(X, 1e-300), "factor is 1e-300"), (lambda: scaled(X, 0), "factor is 0"), (lambda: blurred(X, 1e9), "sigma is"), (lambda: noisy(X, 10**400), "sd is"), (lambda: covered(X, X), "side is"),
    (lambda: shifted(X, None), "right is None"), (lambda: robustness([MODEL], X, T, 3, [1]), "distort is 3"), (lambda: robustness([3], X, T, shifted, [1]), "not a model"), (lambda: robustness(MODEL, X, T, shifted, [1]), "models is"),
    (lambda: robustness([MODEL], X, T, shifted, 1), "amounts is 1"), (lambda: robustness([MODEL], X, T, lambda x, a: None, [1]), "the images are None"),
    (lambda: robustness([MODEL], torch.cat([X, X]), T, shifted, [0]), "expected one target for each image"), (lambda: robustness([MODEL], X, T, lambda x, a: torch.cat([x, x]), [0, 1]), "expected one target for each image"),
    (lambda: robustness([MODEL], X, torch.full_like(T, 99), shifted, [0]), "a target is 99"), (lambda: robustness([MODEL], X[:0], T[:0], shifted, [0]), "at least 1")])
def test_amounts(call, why):
    with pytest.raises((TypeError, ValueError), match=why): call()


def test_a_blur_too_small_to_see():
    "Below a fiftieth of a pixel no neighbor has any part: the images are as they were, where 0/0 once stood"
    for x in (PIXELS, PIXELS.double()): assert torch.equal(blurred(x, 1e-300), x) and torch.equal(blurred(x, 0.0201), x)


def test_arrays_and_many_disagreements():
    "NumPy goes where torch goes; forty thousand digits on which two models differ take no time"
    assert reliability(P.numpy(), T.numpy()).ece == reliability(P, T).ece
    n = 40_000
    found = mcnemar(np.zeros(n, int), np.arange(n) % 2, 1 - np.arange(n) % 2)
    assert found.only_a == found.only_b == n // 2 and found.p_value == 1
