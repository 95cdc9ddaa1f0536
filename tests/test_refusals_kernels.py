"What the kernels do not serve is `Unfit`, and what does not belong is a clear error before any of it is read."
import pytest
import torch
from torch import nn

from mnist_cnn.kernels import Unfit, check_sizes, flat_weights, fused, plan
from mnist_cnn.model import SimpleCNN

LAYERS = list(SimpleCNN().as_sequential())


class Doubled(SimpleCNN):
    def forward(self, x): return 2 * super().forward(x)


def hooked():
    model = SimpleCNN()
    model.conv1.register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize("make, why", [
    (lambda: nn.Linear(2, 2), "is not a chain of layers"),
    (lambda: nn.Sequential(*LAYERS[1:]), "does not begin with a convolution"),
    (lambda: nn.Sequential(*LAYERS[:2], *LAYERS[3:]), "not followed by a max pool and a ReLU"),
    (lambda: nn.Sequential(*LAYERS[:6], *LAYERS[7:]), "nn.Flatten\\(\\) is missing"),
    (lambda: nn.Sequential(*LAYERS[:-1]), "not linear layers with ReLU between"),
    (lambda: nn.Sequential(nn.Conv2d(1, 12, 3), *LAYERS[1:]), "12 output channels"),
    (lambda: nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), *LAYERS[1:]), "has a stride"),
    (lambda: nn.Sequential(nn.Conv2d(1, 16, 3), *LAYERS[1:]), "another number of features"),
    (lambda: SimpleCNN().double(), "not all float32"),
    (hooked, "hooks"), (Doubled, "own forward")])
def test_unfit(make, why):
    with pytest.raises(Unfit, match=why): plan(make())


@pytest.mark.parametrize("shape", [(3, 28, 28), (28, 28), (1, 2600, 2600), (1, 1, 1)])
def test_unfit_images(shape):
    with pytest.raises(Unfit): plan(SimpleCNN(), shape)


@pytest.mark.parametrize("call", [
    lambda: plan(SimpleCNN(), 28), lambda: plan(SimpleCNN(), "abc"), lambda: plan(SimpleCNN(), (1, 28., 28)), lambda: plan(3), lambda: fused(SimpleCNN(), max_bs=1.5), lambda: fused(SimpleCNN(), max_bs="16"),
    lambda: fused(SimpleCNN(), max_bs=torch.ones(3)), lambda: flat_weights(3), lambda: flat_weights([]), lambda: flat_weights("ab"), lambda: flat_weights([None]), lambda: flat_weights(SimpleCNN())])
def test_what_is_no_shape_size_or_parameter(call):
    with pytest.raises((TypeError, ValueError), match="expected"): call()


@pytest.mark.parametrize("convs, sizes, bs", [
    ([(1, 16, 3, 1, 28, 28)], [3136, 10], 10**8), ([(1, 16, 3, 1, 28, 28)], [3136, 10], 2**31), ([(1, 16, 3, 1, 28, 28)], [3136, 10], 0),
    ([(1, 16, 3, 1, 2600, 2600)], [27040000, 10], 16), ([(1, 1024, 3, 1, 28, 28)], [200704, 10], 16), ([(1, 16, 3, 1, 28, 28)], [2**20, 2**20, 10], 16)])
def test_sizes_have_bounds(convs, sizes, bs):
    with pytest.raises(Unfit): check_sizes(convs, sizes, bs)


def test_a_batch_of_any_size_does_not_crash():
    with pytest.raises(Unfit, match="too large"): fused(SimpleCNN(), max_bs=10**8)


@pytest.fixture(scope="module")
def kernels():
    try: return fused(SimpleCNN())
    except Unfit as e: pytest.skip(str(e))


X, Y, W = torch.rand(16, 1, 28, 28), torch.randint(10, (16,)), flat_weights(SimpleCNN().parameters())

@pytest.mark.parametrize("call, why", [
    (lambda k: k.logits(W, X[..., :14]), r"given torch.float32 \(16, 1, 28, 14\)"),
    (lambda k: k.logits(W, X.double()), "torch.float64"), (lambda k: k.logits(W[:-1], X), "55,338 float32"),
    (lambda k: k.logits(W.double(), X), "torch.float64"), (lambda k: k.gradient(W, torch.empty_like(W), X, Y[:15]), "expected one for each"),
    (lambda k: k.gradient(W, torch.empty_like(W), X, Y + 5), "expected classes 0 to 9"), (lambda k: k.gradient(W, torch.empty_like(W), X, Y - 10), "expected classes 0 to 9"),
    (lambda k: k.gradient(W, W[:10], X, Y), "55,338 float32"),
    (lambda k: k.gradient(W, torch.empty_like(W), torch.rand(k.max_bs + 1, 1, 28, 28), torch.zeros(k.max_bs + 1)), "at most"),
    (lambda k: k.adam(torch.zeros(55_338)[:10], W, W, W, 1e-3, 0.9, 0.999, 1e-8, 1), "55,338 float32"),
    (lambda k: k.adam(W.clone(), W, W, torch.zeros(2 * 55_338)[::2], 1e-3, 0.9, 0.999, 1e-8, 1), "55,338 float32")])
def test_tensors_that_do_not_belong(kernels, call, why):
    with pytest.raises(ValueError, match=why): call(kernels)
