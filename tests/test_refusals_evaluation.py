"What the functions of evaluation, uncertainty, interpretation and position reject, each with a sentence that says what was expected."
import math

import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.data import load_tensors
from mnist_cnn.evaluation import (accuracy_interval, blurred, confusion_matrix, covered, mistakes, noisy, predict, robustness, rotated, scaled, shifted)
from mnist_cnn.interpretation import (activations, grad_cam, integrated_gradients, occlusion, principal_components, saliency, show_maps, top_patches)
from mnist_cnn.model import SimpleCNN
from mnist_cnn.position import shift_error
from mnist_cnn.uncertainty import fit_temperature, mcnemar, reliability
from mnist_cnn.widgets import explore_confusions

torch.manual_seed(0)
X, Y = (t[:20] for t in load_tensors(train=False))
MODEL, PIXELS = SimpleCNN(), X.float() / 255
P, T = torch.rand(20, 10).softmax(1), Y
CHAIN = MODEL.as_sequential()


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
    (lambda: show_maps(MODEL.conv1.weight), "expected N×H×W"), (lambda: activations(MODEL, PIXELS, "conv3"), "it has conv1, conv2, pool, fc1, fc2"),
    (lambda: activations(MODEL, PIXELS, "pool"), "runs 2 times"), (lambda: top_patches(MODEL, PIXELS[:3], "conv2", n=4), "expected 1 to 3"),
    (lambda: saliency(MODEL, PIXELS, 10), "the classes 0 to 9"), (lambda: saliency(MODEL, PIXELS[:2], T[:1]), "one class for each of the 2"),
    (lambda: saliency(MODEL, X[:2], 0), r"x.float\(\) / 255"), (lambda: grad_cam(CHAIN, PIXELS, T, "7"), "expected maps C×H×W"),
    (lambda: grad_cam(CHAIN, PIXELS, T, "layer4"), "it has 0, 1"), (lambda: occlusion(MODEL, PIXELS, T, size=29), "1 to 28 pixels"),
    (lambda: principal_components(torch.full((3, 2), torch.nan)), "features hold NaN"), (lambda: saliency(MODEL, torch.full((1, 1, 28, 28), torch.nan), 3), "x holds NaN"),
    (lambda: integrated_gradients(MODEL, PIXELS[:1], 3, baseline=torch.zeros(3)), r"baseline is \(3,\)"), (lambda: principal_components(P, 33), "k from 1"),
    (lambda: shift_error(lambda x: x, PIXELS, 1, along=-1), "along is -1"), (lambda: shift_error(lambda x: x, PIXELS[:1], 1), "at least 2")])
def test_interpretation(call, why):
    with pytest.raises(ValueError, match=why): call()


def test_arrays_and_many_disagreements():
    "NumPy goes where torch goes; forty thousand digits on which two models differ take no time"
    assert reliability(P.numpy(), T.numpy()).ece == reliability(P, T).ece
    n = 40_000
    found = mcnemar(np.zeros(n, int), np.arange(n) % 2, 1 - np.arange(n) % 2)
    assert found.only_a == found.only_b == n // 2 and found.p_value == 1
