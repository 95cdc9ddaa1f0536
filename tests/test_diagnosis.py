"`diagnose`: what it leaves untouched, the batches it takes, and what it rejects."
import random

import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.diagnosis import diagnose
from mnist_cnn.model import SimpleCNN

X, Y = [t[:400] for t in load_tensors()]


def random_states(): return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize('mode', [True, False])
def test_model_mode_gradients_and_random_numbers_stay(mode):
    "With batch norm, whose running means change with each pass, with dropout and shuffled batches, which draw, and with a gradient already there."
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)).train(mode)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[5].requires_grad_(False)
    state, drawn = {k: v.clone() for k, v in model.state_dict().items()}, random_states()
    with torch.no_grad(): report = diagnose(model, Batches(X, Y, bs=16, shuffle=True), n_steps=5)
    assert random_states() == drawn and model.training == mode
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight)) and model[5].weight.grad is None
    assert not model[5].weight.requires_grad and not any(m._forward_hooks for m in model.modules())
    assert any('model.eval()' in w for w in report.warnings) == mode


def test_a_dataloader_and_a_single_batch_will_do():
    pairs = torch.utils.data.TensorDataset(X.float() / 255, Y)
    torch.manual_seed(0)
    model = SimpleCNN()
    for batches in (torch.utils.data.DataLoader(pairs, 16, shuffle=True), [(X[:16].float() / 255, Y[:16])]):
        report = diagnose(model, batches, n_steps=60)
        assert report.one_batch == 1 and len(report.layers) == 4 and report.layers[0].name == 'conv1'


def test_a_single_layer_and_a_loss_that_is_not_finite():
    flat = Batches(X.float().flatten(1) / 255, Y, bs=16)
    assert diagnose(nn.Linear(784, 10), flat, n_steps=20).layers[0].update > 0
    broken = nn.Linear(784, 10)
    nn.init.constant_(broken.weight, float('nan'))
    report = diagnose(broken, flat)
    assert len(report.warnings) == 1 and 'finite' in report.warnings[0] and 'finite' in repr(report)


@pytest.mark.parametrize('change, kind, words', [
    (dict(model=SimpleCNN), TypeError, 'is a class'),
    (dict(batches=[]), ValueError, 'no batches'),
    (dict(lr=0), ValueError, 'lr is 0'),
    (dict(n_steps=0), ValueError, 'n_steps is 0'),
    (dict(model=SimpleCNN(5)), ValueError, 'classes 0 to 4')])
def test_rejected(change, kind, words):
    with pytest.raises(kind, match=words): diagnose(**dict(model=SimpleCNN(), batches=Batches(X, Y, bs=16)) | change)
