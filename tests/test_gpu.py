"""What a GPU does, as far as it can be tried without one: a recorded step whose recording is a plain call, and Triton's kernels in its interpreter.

tools/gpu.py measures the rest on a machine that has one.
"""
import ast, os, random, subprocess, sys, warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TRITON_INTERPRET", "1")  # before the first import of Triton

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mnist_cnn import gpu, speed, steps
from mnist_cnn.checkpoint import Checkpoint
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.kernels import Unfit, plan
from mnist_cnn.model import SimpleCNN
from mnist_cnn.recipes import Average, OneCycle, Schedule
from mnist_cnn.steps import EagerStep, FlatAdam, GPUKernelStep, GraphStep, KernelStep, optimizer_for
from mnist_cnn.training import Measure, evaluate, fit

ROOT = Path(__file__).resolve().parents[1]
X, Y = [t[:165] for t in load_tensors()]  # ten batches of 16 and one of 5


class Capture(TorchDispatchMode):
    "Refuses to look at a value, as CUDA does while it records"
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name == "aten::_local_scalar_dense": raise RuntimeError("operation not permitted when stream is capturing")
        return func(*args, **(kwargs or {}))


class Plain:
    "Instead of a recording, the work itself"
    records = staticmethod(lambda device: True)
    warm = staticmethod(lambda work, device: [work() for _ in range(3)])

    @staticmethod
    def record(work, device):
        with Capture(): work()
        return work


class Played(Plain, GraphStep): pass


def small(*layers):
    "A bias before batch norm would get gradients of rounding alone, which Adam makes large"
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=3, bias=not layers or not isinstance(layers[0], nn.BatchNorm2d)), *layers, nn.Flatten(), nn.Linear(324, 10))


class Branching(nn.Sequential):
    def forward(self, x): return super().forward(x if x.mean() > 0.1 else x * 2)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(392, 10), nn.Linear(392, 10)
    def forward(self, x, y=None):
        first, second = x.flatten(1).chunk(2, 1)
        return self.a(first) + self.b(second if y is None else y)


def hooked():
    model = small()
    model[0].register_forward_hook(lambda *args: None)
    return model


MODELS = {"SimpleCNN": (SimpleCNN, "graph"), "batch norm": (lambda: small(nn.BatchNorm2d(4)), "graph"), "dropout": (lambda: small(nn.Dropout(0.3)), None),
          "two inputs": (TwoInputs, "graph"), "branches on values": (lambda: Branching(*small()), "eager")}


def trained(step, make=SimpleCNN, callbacks=(), n_epochs=2, **kw):
    torch.manual_seed(0)
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = fit(model, Batches(X, Y, 16, shuffle=True), n_epochs=n_epochs, device="cpu", step=step, callbacks=[Measure(None), *callbacks], **kw)
    return torch.cat([t.flatten().double() for t in model.state_dict().values()]), history


@pytest.mark.parametrize("name", MODELS)
def test_the_recorded_work_is_the_eager_step(name):
    "Also for models that cannot be recorded; what is tried before leaves no trace in weights, buffers or random numbers"
    make, step = MODELS[name]
    (ours, a), (theirs, b) = trained(Played(label_smoothing=0.1), make), trained(EagerStep(label_smoothing=0.1), make)
    assert torch.allclose(ours, theirs, atol=1e-6) and a[-1].loss == pytest.approx(b[-1].loss, abs=1e-6)
    assert a.made_with["step"] == (step or "eager")  # dropout draws on the processor here, on a GPU from its own generator


def test_with_a_schedule_and_an_average():
    def callbacks(): return [Schedule(OneCycle()), Average(0.9)]
    assert torch.allclose(trained(Played(), callbacks=callbacks())[0], trained(EagerStep(), callbacks=callbacks())[0], atol=1e-6)


def test_what_does_not_fit_says_why():
    def bound(model, opt=None):
        with optimizer_for(model, opt) as made: return Played().bind(model, made, None)
    with pytest.raises(Unfit, match="hooks"): bound(hooked())
    for kind in "register_hook", "register_post_accumulate_grad_hook":
        model = SimpleCNN()
        getattr(model.fc1.weight, kind)(print)
        with pytest.raises(Unfit, match="hooks"): bound(model)
        with pytest.raises(Unfit, match="hooks"): plan(model)
    with pytest.raises(Unfit, match="own Adam"): bound(small(), torch.optim.SGD)
    with pytest.warns(UserWarning, match="Branching is trained by PyTorch's operations.*cannot be recorded"):
        steps._said.clear()
        torch.manual_seed(0)
        fit(Branching(*small()), Batches(X, Y, 16), n_epochs=1, device="cpu", step=Played(), callbacks=[Measure(None)])


def test_a_callback_that_freezes_a_layer_is_heard():
    class Freeze:
        def after_batch(self, loop):
            if loop.batch == 5: loop.model[2].eval(), loop.model[1].eval()
    make = lambda: small(nn.BatchNorm2d(4), nn.ReLU())
    assert torch.allclose(trained(Played(), make, [Freeze()])[0], trained(EagerStep(), make, [Freeze()])[0], atol=1e-6)


class Stop:
    "Ctrl-C, at a batch of the second epoch"
    order = 0.5  # before Checkpoint looks
    def after_batch(self, loop):
        if (loop.epoch, loop.batch) == (2, 4): next(c for c in loop.callbacks if isinstance(c, Checkpoint)).pressed.append(2)


def test_resumed_to_the_bit(tmp_path):
    whole = trained(Played(), n_epochs=3, callbacks=[Schedule(OneCycle()), Average(0.9)])[0]
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt): trained(Played(), n_epochs=3, callbacks=[Schedule(OneCycle()), Average(0.9), Checkpoint(path), Stop()])
    assert torch.equal(trained(Played(), n_epochs=3, callbacks=[Schedule(OneCycle()), Average(0.9), Checkpoint(path, resume=True)])[0], whole)


def test_loss_that_is_not_a_number_ends_the_run():
    with pytest.raises(FloatingPointError): trained(Played(loss_fn=lambda logits, y: F.cross_entropy(logits, y) * float("nan")))


SETTINGS = """
import os, sys, torch
from mnist_cnn.steps import same_bits
def state(): return (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.deterministic,
                     torch.backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory, os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
cuda = torch.device("cuda")
with same_bits(cuda): print("torch._inductor" in sys.modules)
for chosen in range(2):
    if chosen:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark, os.environ["CUBLAS_WORKSPACE_CONFIG"] = True, ":16:8"
    before = state()
    try:
        with same_bits(cuda), same_bits(cuda):
            print(state())
            raise KeyError
    except KeyError: print(state() == before)
    with same_bits(torch.device("cpu")): print(state() == before)
"""


def test_settings_are_left_as_they_were():
    "Even after an error, nested, and where the caller had chosen stricter ones; and PyTorch's compiler is not loaded for it"
    done = subprocess.run([sys.executable, "-c", SETTINGS], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["False", "(True, True, True, False, False, ':4096:8')", "True", "True", "(True, False, True, False, False, ':16:8')", "True", "True"], done.stderr


def test_what_cannot_be_deterministic_is_said_once():
    "By PyTorch itself, the first time it comes to such an operation"
    numbers = torch.zeros(4)
    with warnings.catch_warnings(record=True) as said, steps.same_bits(torch.device("cuda")):
        for _ in range(5): numbers.put_(torch.tensor([0, 0]), torch.tensor([1., 2.]))
    assert len(said) == 1 and "put_ does not have a deterministic implementation" in str(said[0].message)


@pytest.mark.parametrize("kind", ["cpu", "mps", "xpu"])
def test_only_cuda_records(kind): assert not GraphStep.records(torch.device(kind))


# Triton's kernels

needs_triton = pytest.mark.skipif(gpu.triton is None or torch.cuda.is_available(), reason="needs Triton's interpreter")


def gradients(convs, sizes, n, bs, smoothing, seed):
    "Ours and PyTorch's, and the losses"
    torch.manual_seed(seed)
    model, x, y = gpu._network(convs, sizes), torch.rand(n, 1, *convs[0][4:]), torch.randint(sizes[-1], (n,))
    with torch.enable_grad():
        loss = F.cross_entropy(model(x), y, label_smoothing=smoothing)
        loss.backward()
    weight, theirs = [torch.cat([t.detach().flatten() for t in ts]) for ts in (model.parameters(), [p.grad for p in model.parameters()])]
    kernels, grad = gpu.GPUKernels(convs, sizes, bs, torch.device("cpu")), torch.full_like(weight, float("nan"))
    ours = kernels.gradient(weight, grad, x, y, smoothing).item()
    return grad, theirs, ours, loss.item()


def a_network(rng):
    "Random sizes"
    h, w, c, convs = rng.randint(6, 11), rng.randint(6, 11), 1, []
    for _ in range(rng.choice([1, 1, 2])):
        k, co = rng.choice([1, 2, 3, 3, 5]), 8 * rng.randint(1, 2)
        p = rng.randint(0, k // 2)
        if min(h, w) + 2 * p - k + 1 < 2: break
        convs.append((c, co, k, p, h, w))
        c, h, w = co, (h + 2*p - k + 1) // 2, (w + 2*p - k + 1) // 2
    return convs, (c * h * w, 8 * rng.randint(1, 3), rng.randint(2, 20))


@needs_triton
@pytest.mark.parametrize("seed", range(6))
def test_gradient_of_a_random_network(seed):
    "Odd sizes, batches that are not full, label smoothing: the whole gradient within 1e-5 of its length"
    rng = random.Random(seed)
    n = rng.choice([1, 2, 3, 5])
    grad, theirs, ours, loss = gradients(*a_network(rng), n, n + rng.choice([0, 0, 2]), rng.choice([0., 0.1, 0.3]), seed)
    assert ours == pytest.approx(loss, rel=1e-5) and (grad - theirs).norm() < 1e-5 * theirs.norm()


@needs_triton
def test_more_samples_than_a_program_takes():
    grad, theirs, ours, loss = gradients([(1, 8, 3, 1, 2, 2)], (8, 8, 3), 35, 35, 0., 0)
    assert ours == pytest.approx(loss, rel=1e-5) and (grad - theirs).norm() < 1e-5 * theirs.norm()


TINY = [(1, 8, 3, 1, 6, 6)], (72, 8, 10)


class PlayedKernels(Plain, GPUKernelStep):
    "On a processor, where Triton's kernels are interpreted"


@needs_triton
@pytest.mark.parametrize("weight_decay", [0., 0.05])
def test_a_run_by_kernels(weight_decay):
    "`fit` with the interpreted kernels gives the weights of PyTorch's operations: Adam, schedule, the smaller last batch"
    x, y = F.avg_pool2d(X[:6].float() / 255, 5)[..., :5, :5], Y[:6]
    x = F.pad(x, (0, 1, 0, 1))
    def run(step):
        torch.manual_seed(0)
        model = gpu._network(*TINY)
        history = fit(model, Batches(x, y, 4), n_epochs=2, lr=0.01, device="cpu", step=step, opt=partial(FlatAdam, weight_decay=weight_decay), callbacks=[Measure(None), Schedule(OneCycle())])
        return torch.cat([p.detach().flatten() for p in model.parameters()]), history
    (ours, a), (theirs, b) = run(PlayedKernels(label_smoothing=0.1)), run(EagerStep(label_smoothing=0.1))
    assert a.made_with["step"] == "gpu kernels" and a[-1].loss == pytest.approx(b[-1].loss, rel=1e-4)
    assert torch.allclose(ours, theirs, atol=2e-5)


@needs_triton
def test_a_target_that_is_no_class_and_weights_that_are_not_numbers_show():
    kernels = gpu.GPUKernels(*TINY, 2, torch.device("cpu"))
    weight, grad, x = torch.rand(kernels.n_weights), torch.zeros(kernels.n_weights), torch.rand(2, 1, 6, 6)
    assert kernels.gradient(weight, grad, x, torch.tensor([3, 10])).isnan()
    assert kernels.gradient(weight, grad, x, torch.tensor([3, 9])).isfinite()
    weight[0] = float("nan")
    assert kernels.gradient(weight, grad, x, torch.tensor([3, 9])).isnan()
    for wrong in (torch.rand(3, 1, 6, 6), torch.rand(2, 1, 6, 7), torch.rand(2, 1, 6, 6).double()):
        with pytest.raises(ValueError, match="expected 1 to 2 float32 images"): kernels.gradient(weight, grad, wrong, torch.tensor([3, 9]))


@needs_triton
def test_logits_by_kernels(monkeypatch):
    "Also more images than the kernels take at a time; `evaluate` gives what it gives by PyTorch's operations"
    torch.manual_seed(0)
    model, kernels = gpu._network(*TINY), gpu.GPUKernels(*TINY, 4, torch.device("cpu"))
    x, y = torch.rand(6, 1, 6, 6), torch.randint(10, (6,))
    theirs, batches = evaluate(model, Batches(x, y, 4)), Batches(x, y, 4)
    with torch.no_grad(): wanted = model(x)
    assert torch.allclose(kernels.logits_of(model)(x), wanted, atol=1e-5)
    asked = []
    monkeypatch.setattr(steps, "kernels_for", lambda *args: asked.append(args) or kernels)
    ours = evaluate(model, batches)
    assert asked and ours.loss == pytest.approx(theirs.loss, rel=1e-5) and (ours.accuracy, ours.n) == (theirs.accuracy, 6)
    weight = torch.cat([p.detach().flatten() for p in model.parameters()])
    for wrong in (torch.rand(3, 1, 6, 7), torch.rand(3, 1, 6, 6).double()):
        with pytest.raises(ValueError, match="float32 images"): kernels.logits(weight, wrong)


def test_evaluation_asks_for_the_kernels_of_the_training(monkeypatch):
    "On a GPU: of the same size, so that they are made once, and only where batches are large; C kernels never"
    made = []
    monkeypatch.setattr(gpu, "gpu_kernels", lambda *args: made.append(args) or "kernels")
    x, y, model = torch.zeros(10_000, 1, 24, 24, dtype=torch.uint8), torch.zeros(10_000, dtype=torch.int64), speed.GPU_RECIPE.network()
    large, small = Batches(x, y, speed.GPU_RECIPE.bs), Batches(x, y, 32)
    PlayedKernels().bind(model, FlatAdam(model.parameters()), large)
    monkeypatch.setattr(steps, "device_of", lambda model: SimpleNamespace(type="cuda"))
    assert steps.kernels_for(model, large, large.n) == "kernels"
    assert len(made) == 2 and made[0][:3] == made[1][:3] and made[0][1:3] == ((1, 24, 24), 512)
    with pytest.raises(Unfit, match="not recorded"): steps.kernels_for(model, small, small.n)
    with pytest.raises(Unfit, match="not on the cpu"): KernelStep().bind(model, FlatAdam(model.parameters()), large)
    monkeypatch.setenv("MNIST_CNN_KERNELS", "0")
    with pytest.raises(Unfit, match="is set"): steps.kernels_for(model, large, large.n)
    assert len(made) == 2


@needs_triton
def test_networks_that_get_no_kernels():
    def kernels(*layers): return gpu.gpu_kernels(nn.Sequential(*layers), (1, 6, 6), 4, "cpu")
    block = nn.Conv2d(1, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()
    with pytest.raises(Unfit, match="linear layers"): kernels(*block, nn.Flatten(), nn.Linear(72, 10))
    with pytest.raises(Unfit, match="more than 128"): kernels(*block, nn.Flatten(), nn.Linear(72, 136), nn.ReLU(), nn.Linear(136, 10))
    with pytest.raises(Unfit): kernels(block[0], nn.BatchNorm2d(8), *block[1:], nn.Flatten(), nn.Linear(72, 8), nn.ReLU(), nn.Linear(8, 10))


@needs_triton
def test_kernels_are_compared_with_pytorch_before_they_are_used(monkeypatch):
    "Kernels that compute something else are refused, and stay refused"
    monkeypatch.setattr(gpu, "_made", {})
    monkeypatch.setattr(gpu.GPUKernels, "_finished", lambda self, opt, weight, grad, rate: self.loss)  # the convolutions' parts are never added up
    model = gpu._network(*TINY)
    for _ in range(2):
        with pytest.raises(Unfit, match="do not give PyTorch's gradients"): gpu.gpu_kernels(model, (1, 6, 6), 2, "cpu")
    assert len(gpu._made) == 1
    monkeypatch.undo()
    monkeypatch.setattr(gpu.GPUKernels, "logits", lambda self, weight, x: torch.zeros(len(x), 10))
    with pytest.raises(Unfit, match="do not give PyTorch's logits"): gpu.gpu_kernels(model, (1, 6, 6), 3, "cpu")
    gpu._made.clear()


WITHOUT = """
import sys
sys.modules["triton"] = None
import torch
from mnist_cnn.kernels import Unfit, plan
from mnist_cnn.model import SimpleCNN
from mnist_cnn.gpu import gpu_kernels
try: gpu_kernels(SimpleCNN(), device="cpu")
except Unfit as e: print(e)
"""


def test_without_triton():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "Triton is not installed\n", done.stderr


@needs_triton
def test_the_kernels_compile_for_a_gpu():
    "By Triton's own compiler, which needs no GPU; nine launches for a step, and no more shared memory than a program may have"
    done = subprocess.run([sys.executable, "tests/compile_gpu.py"], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "TRITON_INTERPRET": "0"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all("9 launches" in line for line in lines)
    for line in lines:
        assert max(max(v) for v in ast.literal_eval(line.split("launches: ")[1]).values()) < 99 * 1024  # what the smaller cards of today have; an H100 has 227


# What is measured on a GPU, tried without one

def test_the_benchmark_for_a_gpu_runs(monkeypatch):
    "With few digits and steps: every row is there, and the table can be written"
    all_of, ways = speed.load_tensors, speed.step_ways
    monkeypatch.setattr(speed, "load_tensors", lambda train=True: tuple(t[:600] for t in all_of(train)))
    monkeypatch.setattr(speed, "step_ways", lambda device, n: ways(device, 2))
    said = []
    found = speed.bench_on(torch.device("cpu"), n=96, rounds=1, say=said.append)
    assert list(found["step"]) == ["PyTorch", "fit, eager"] and list(found["classic"]) == ["plain", "fit, eager"] and set(found["left_out"]) == {"fit, graph", "fit, kernels"}
    assert found["classic_accuracy"]["plain"] == pytest.approx(found["classic_accuracy"]["fit, eager"], abs=0.2) and len(said) == 4
    table = speed.bench_table(found)
    assert all(f"| {name} | " in table for name in (*found["step"], *found["classic"], *found["speedrun"]))


def test_a_speed_run_on_a_gpu_shows_the_first_seed_apart():
    runs = [speed.TimedRun(0, 0.99, 3., 1.25, "gpu kernels"), *[speed.TimedRun(i, 0.99, 0.08, 0., "gpu kernels") for i in (1, 2)]]
    text = str(speed.SpeedRun(runs, speed.GPU_RECIPE, {"gpu": "H100"}))
    assert "the first 3.000 s, of which 1.250 s for making kernels, the others 0.080 ± 0.000 s (n = 3" in text
    assert "the first" not in str(speed.SpeedRun(runs[:1], speed.GPU_RECIPE, {"gpu": "H100"})) + str(speed.SpeedRun(runs, speed.GPU_RECIPE, {}))
