"""Wrong calls of the public functions: `python tests/fuzz_api.py --n 20000`. Its short form is tests/test_fuzz_api.py.

Each call has a number, and is made from that number alone: `--first 1234 --n 1` makes one of them again. A function is called with good arguments
of which one or two are replaced by odd ones. It may answer, or raise an error of its own: one of `CLEAR`, by a `raise` that stands in the package. A fault
is an error from deep inside torch, NumPy or Python, an answer with NaN in it, a change of what is not the function's to change (random numbers,
a model's weights and modes, its arguments), a late answer, and the end of the process. Faults end in status 1. What an odd model raises in a layer of its own is counted, but is no fault.
"""
import argparse, atexit, copy, dataclasses, importlib, inspect, linecache, math, multiprocessing, os, pkgutil, random, resource, shutil, signal, sys, tempfile, traceback, warnings
from collections import Counter
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch import nn

import mnist_cnn
from mnist_cnn.checks import windows
from mnist_cnn.data import Augment, Batches, load_tensors
from mnist_cnn.evaluation import confusion_matrix
from mnist_cnn.exercises import Choice, Numbers, Trial
from mnist_cnn.files import save_weights, unpack, write_idx
from mnist_cnn.model import AllConvNet, SimpleCNN
from mnist_cnn.recipes import Recipe, recipes
from mnist_cnn.steps import FlatAdam
from mnist_cnn.trainer import Shift
from mnist_cnn.training import Epoch, History, Measure
from mnist_cnn.uncertainty import reliability

SECONDS, LOST, MEMORY = 10, 60, 16 * 2**30  # of the processor for a call, whatever else it has to do; of the clock, after which its process is given up; bytes that it may ask for
CLEAR = TypeError, ValueError, OSError, FloatingPointError, NotImplementedError
N = 6

RECORDS = "made by the functions, not by users"
LEFT_OUT = {**dict.fromkeys("conv.ConvSetting conv.ReceptiveField evaluation.ConfusionMatrix uncertainty.Reliability uncertainty.McNemar interpretation.TopPatches interpretation.Components speed.TimedRun "
                            "speed.SpeedRun speed.Compared recipes.Run training.Score training.Epoch summary.LayerRow summary.Summary exercises.Verdict exercises.Question checkpoint.Stopped kernels.Unfit "
                            "widgets.Picture widgets.Widget steps.Loop steps.Alone kernels.Fused steps.EVENTS diagnosis.Layer diagnosis.Diagnosis distributed.Together speed.Rates kernels.check_sizes pictures.Found gpu.GPUKernels".split(), RECORDS),
            **dict.fromkeys("cli.make_parser cli.train cli.evaluate cli.predict cli.study cli.export cli.speedrun cli.bench cli.main cli.book cli.pack_book".split(), "the command line has tests of its own"),
            **dict.fromkeys("speed.seconds speed.compare speed.peaks speed.bench speed.speedrun speed.published_run speed.plain_run speed.fit_run speed.bench_table speed.spread speed.one_run speed.wait speed.step_kinds speed.step_ways speed.classic_runs speed.bench_on gpu.gpu_kernels steps.same_bits "
                            "playground.classic_run playground.for_pens trainer.page_files distributed.process_group".split(), "measures, trains for long or starts processes")}
CHANGES = {"training.set_seed", "training.fit", "training.lr_range", "recipes.run_recipe", "evaluation.noisy", "model.SimpleCNN", "model.AllConvNet", "model.plain_cnn", "files.load_weights", "evaluation.covered",
           "model.AllConvNet.forward", "steps.optimizer_for", "steps.FlatAdam", "exercises.ask", "recipes.Recipe.fit"}  # what a call of these that succeeds may change; and one that ends in a FloatingPointError, since what was learned until then cannot be undone
UNKNOWN = {"uncertainty.reliability", "evaluation.ConfusionMatrix.recall", "diagnosis.diagnose"}  # NaN where there is nothing to count, as documented; a diagnosis reports a loss that is not a number


# What is good

@cache
def held():
    "The digits, a model and files that all calls begin from"
    x, y = load_tensors(train=False)
    torch.manual_seed(0)
    model = SimpleCNN.pretrained()
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_weights(model, folder / "CNN.pt")
    write_idx(folder / "a-idx", x[:2, 0])
    (folder / "a.json").write_text("{}")
    from PIL import Image
    Image.fromarray(255 - x[0, 0].numpy()).save(folder / "digit.png")
    write_idx(folder / "t10k-images-idx3-ubyte", x[:N, 0])
    write_idx(folder / "t10k-labels-idx1-ubyte", y[:N].byte())
    unpack(folder / "data")
    return x[:N], y[:N], model, folder


def model(): return copy.deepcopy(held()[2])
def x(): return held()[0].clone()
def floats(): return x().float() / 255
def y(): return held()[1].clone()
def batches(): return Batches(x(), y(), bs=4)
def probs(n=10): return torch.softmax(torch.randn(N, n, generator=torch.Generator().manual_seed(1)), 1)
def at(name): return lambda: held()[3] / name
def chosen(value): return lambda: value
def forward(kind): return lambda: kind.forward


GOOD = {
    "checkpoint.checksum": dict(batches=batches), "checkpoint.read_checkpoint": dict(path=at("none.checkpoint")), "checkpoint.Checkpoint": dict(path=at("b.checkpoint")),
    "checks.shown": dict(value=chosen(3)), "checks.check_number": dict(name=chosen("n"), value=chosen(3)), "checks.check_model": dict(model=model), "checks.chain": dict(model=model),
    "checks.check_items": dict(name=chosen("x"), values=chosen([1, 2]), wanted=chosen("numbers")), "checks.check_texts": dict(name=chosen("titles"), values=chosen(["a", None])), "checks.check_named": dict(name=chosen("settings"), values=chosen({"a": 1})),
    "checks.check_function": dict(name=chosen("f"), value=chosen(len), example=chosen("len")), "checks.check_device": dict(device=chosen("cpu")), "checks.check_autocast": dict(dtype=chosen(torch.bfloat16)), "checks.check_generator": dict(generator=torch.Generator),
    "checks.check_finite": dict(values=floats, model=model), "checks.check_params": dict(params=lambda: list(model().parameters())), "checks.check_pair": dict(pair=lambda: (floats(), y())), "checks.pairs": dict(batches=batches), "checks.check_batches": dict(batches=batches),
    "checks.fits": dict(x=floats, weight=lambda: model().conv1.weight), "checks.is_optimizer": dict(opt=chosen(torch.optim.Adam)), "checks.made_optimizer": dict(opt=chosen(torch.optim.Adam), params=lambda: list(model().parameters()), lr=chosen(0.1)),
    "checks.check_tensor": dict(x=floats, name=chosen("maps"), wanted=chosen("N×H×W")), "checks.axes": dict(ax=chosen(None), width=chosen(3), height=chosen(2)), "checks.check_style": dict(color=chosen("red"), marker=chosen("o")),
    "checks.check_logits": dict(logits=probs, targets=y, model=model), "checks.check_images": dict(x=x), "checks.as_pixels": dict(x=x), "checks.check_targets": dict(y=y), "checks.check_probs": dict(probs=probs),
    "checks.per_dim": dict(name=chosen("stride"), value=chosen(3), n=chosen(2), least=chosen(1)), "checks.windows": dict(kernel_size=chosen(3), stride=chosen(1), padding=chosen(0), dilation=chosen(1), n=chosen(2)),
    "checks.check_places": dict(places=chosen((26,)), sizes=chosen((28,)), wins=lambda: windows(3, 1, 0, 1, 1), padding=chosen(0), ceil_mode=chosen(False)), "checks.check_stamps": dict(sizes=chosen((28,)), wins=lambda: windows(2, 2, 0, 1, 1), extra=chosen((0,))),
    "conv.out_size": dict(in_size=chosen(28), kernel_size=chosen(3)), "conv.find_conv": dict(in_size=chosen(28), out_size=chosen(14)), "conv.transposed_out_size": dict(in_size=chosen(14), kernel_size=chosen(2)),
    "conv.receptive_field": dict(layers=lambda: [nn.Conv2d(1, 2, 3), (2, 2, 0, 1)]),
    "data.load_tensors": dict(train=chosen(False), root=lambda: held()[3]), "data.show_digits": dict(x=x), "data.Batches": dict(x=x, y=y), "data.to_tensor": dict(image=lambda: x()[0, 0].numpy()),
    "data.mnist": dict(root=at("data")), "data.dataloaders": dict(root=at("data"), num_workers=chosen(0)), "data.prepare_image": dict(image=at("digit.png")), "data.Augment": {},
    "data.Augment.__call__": dict(self=Augment, x=floats, generator=torch.Generator), "data.Augment.positions": dict(self=Augment, n=chosen(2), height=chosen(28), width=chosen(28), generator=torch.Generator),
    "data.Batches.with_bs": dict(self=batches, bs=chosen(2)), "data.Batches.pixels": dict(self=batches, x=x),
    "evaluation.accuracy": dict(model=model, batches=batches), "evaluation.accuracy_interval": dict(accuracy=chosen(0.9), n=chosen(100)), "evaluation.predict": dict(model=model, x=x),
    "evaluation.confusion_matrix": dict(targets=y, preds=y), "evaluation.mistakes": dict(probs=probs, targets=y), "uncertainty.disputed": dict(probs=lambda: torch.stack([probs(), probs()]), targets=y),
    "uncertainty.reliability": dict(probs=probs, targets=y), "uncertainty.with_temperature": dict(probs=probs, temperature=chosen(2.)), "uncertainty.fit_temperature": dict(probs=probs, targets=lambda: probs().argmax(1) * (torch.arange(N) > 1)),
    "evaluation.check_scored": dict(probs=probs, targets=y), "diagnosis.diagnose": dict(model=model, batches=batches, n_steps=chosen(2)),
    "evaluation.shifted": dict(x=x), "uncertainty.mcnemar": dict(targets=y, preds_a=y, preds_b=y), "evaluation.rotated": dict(x=x, degrees=chosen(10)), "evaluation.scaled": dict(x=x, factor=chosen(1.1)),
    "evaluation.blurred": dict(x=x, sigma=chosen(1.)), "evaluation.noisy": dict(x=x, sd=chosen(0.1)), "evaluation.covered": dict(x=x, side=chosen(5)),
    "evaluation.robustness": dict(models=lambda: [model()], x=x, targets=y, distort=chosen(lambda x, amount: x), amounts=chosen([1, 2])),
    "evaluation.ConfusionMatrix.most_confused": dict(self=lambda: confusion_matrix(y(), y().flip(0))), "evaluation.ConfusionMatrix.plot": dict(self=lambda: confusion_matrix(y(), y())),
    "uncertainty.Reliability.plot": dict(self=lambda: reliability(probs(), y())),
    "exercises.Numbers": dict(asks=chosen("a size"), right=chosen((3,))), "exercises.Choice": dict(asks=chosen("one"), options=chosen({"a": "", "b": "no"})), "exercises.Trial": dict(asks=chosen("a"), test=chosen(lambda a: "")),
    "exercises.Numbers.fault": dict(self=lambda: Numbers("a size", (3,)), answer=chosen(3)), "exercises.Choice.fault": dict(self=lambda: Choice("one", {"a": "", "b": "no"}), answer=chosen("a")),
    "exercises.Trial.fault": dict(self=lambda: Trial("a", lambda a: ""), answer=chosen(3)), "exercises.ask": dict(number=chosen(1), kind=lambda: Numbers("a size", (3,)), answer=chosen(3)),
    "exercises.check": dict(number=chosen(1), answer=chosen(3)),
    "files.as_path": dict(path=at("a-idx")), "files.regular": dict(path=at("a-idx")), "files.read_bytes": dict(path=at("a-idx")), "files.read_json": dict(path=at("a.json"), what=chosen("results")), "files.sha256_of": dict(path=at("a-idx")),
    "files.atomic_write": dict(path=at("new")), "files.check_writable": dict(path=at("new"), example=chosen("CNN.pt")), "files.sweep": dict(path=at("new")), "files.locked": dict(path=at("new")),
    "files.read_idx": dict(path=at("a-idx")), "files.write_idx": dict(path=at("b-idx"), a=lambda: x()[0, 0]), "files.read_mnist": dict(train=chosen(False), root=lambda: held()[3], n_classes=chosen(10)),
    "files.unpack": dict(root=at("data")), "files.open_image": dict(file=at("digit.png")), "files.beside": dict(path=at("CNN.pt"), suffix=chosen(".png")), "pictures.find_digits": dict(image=at("digit.png")), "pictures.one_digit": dict(image=at("digit.png")), "pictures.show_found": dict(image=at("digit.png")), "checks.check_scale": dict(x=x), "uncertainty.strangeness": dict(x=x), "uncertainty.directions": dict(x=x), "files.read_tensors": dict(path=at("CNN.pt"), what=chosen("weights")),
    "files.write_tensors": dict(state=lambda: model().state_dict(), path=at("b.pt")), "files.on_cpu": dict(model=model), "files.check_state": dict(state=lambda: model().state_dict(), model=model, path=at("CNN.pt")),
    "files.save_weights": dict(model=model, path=at("b.pt")), "files.load_weights": dict(model=model, path=at("CNN.pt")),
    "interpretation.show_maps": dict(maps=lambda: floats()[:, 0]), "interpretation.activations": dict(model=model, x=floats, layer=chosen("conv2")),
    "interpretation.top_patches": dict(model=model, x=floats, layer=chosen("conv2"), n=chosen(2)), "interpretation.saliency": dict(model=model, x=floats, targets=y),
    "interpretation.integrated_gradients": dict(model=model, x=floats, targets=y, n_steps=chosen(4)), "interpretation.grad_cam": dict(model=model, x=floats, targets=y, layer=chosen("conv2")),
    "interpretation.occlusion": dict(model=model, x=floats, targets=y), "interpretation.principal_components": dict(features=lambda: floats().flatten(1)),
    "position.shift_error": dict(f=lambda: nn.Conv2d(1, 2, 3, padding=1), x=floats, right=chosen(2)),
    "kernels.plan": dict(model=model), "kernels.flat_weights": dict(params=lambda: list(model().parameters())), "kernels.fused": dict(model=model),
    "model.n_params": dict(model=model), "model.plain_cnn": dict(channels=chosen((4, 4))), "model.SimpleCNN.forward": dict(self=SimpleCNN, x=floats), "model.AllConvNet.forward": dict(self=AllConvNet, x=floats),
    "playground.playground": dict(model=model),
    "trainer.page_digits": dict(n=chosen(20), n_held=chosen(5)), "trainer.pack_digits": dict(n=chosen(20), n_held=chosen(5)), "trainer.mislabel": dict(y=y, fraction=chosen(0.5)), "trainer.train_in_page": {},
    "trainer.Shift": {}, "trainer.Shift.__call__": dict(self=lambda: Shift(1), x=floats, generator=torch.Generator),
    "recipes.Schedule": dict(factor=chosen(lambda t: 1.)), "recipes.Average": dict(keep=chosen(0.99)), "recipes.OneCycle.__call__": dict(self=lambda: recipes["best"].schedule, t=chosen(0.5)),
    "recipes.Recipe.batches": dict(self=Recipe, x=x, y=y), "recipes.Recipe.fit": dict(self=lambda: Recipe(n_epochs=1), model=model, train=batches),
    "recipes.run_recipe": dict(recipe=lambda: Recipe(n_epochs=1), seed=chosen(0), train=lambda: (x(), y()), unseen=lambda: (x(), y())),
    "steps.FlatAdam": dict(params=lambda: list(model().parameters())), "steps.optimizer_for": dict(model=model), "steps.group_of": dict(batches=batches), "steps.casting": dict(device=lambda: torch.device("cpu")),
    "steps.kernels_for": dict(model=model, batches=batches, n_samples=chosen(10**7)), "steps.quick_logits": dict(model=model, batches=batches), "steps.device_of": dict(model=model), "steps.beside": dict(model=model, x=floats), "steps.evaluating": dict(model=model),
    "summary.summary": dict(model=model, in_shape=chosen((1, 28, 28))),
    "training.evaluate": dict(model=model, batches=batches), "training.table": dict(head=chosen(["a"]), rows=chosen([[1]])), "training.fit": dict(model=model, train=batches, n_epochs=chosen(1), callbacks=lambda: [Measure(None)]),
    "training.lr_range": dict(model=model, batches=batches), "training.History.plot": dict(self=lambda: History([Epoch(0, None, 0.1, None, 1.), Epoch(1, 1., 0.9, None, 1.)])),
    "widgets.animate_conv": dict(in_size=chosen(5), kernel_size=chosen(3)), "widgets.inlined": dict(name=chosen("playground.js")), "widgets.explore_confusions": dict(x=x, targets=y, preds=lambda: y().flip(0))}


# What is odd

class Shapeless(nn.Module):
    "Gives what no classifier gives"
    def __init__(self, gives):
        super().__init__()
        self.weight, self.gives = nn.Parameter(torch.ones(1)), gives
    def forward(self, x): return self.gives(x)


def broken():
    m = model()
    with torch.no_grad(): m.conv1.weight[0, 0, 0, 0] = math.nan
    return m


NUMBERS = [0, 1, 2, 3, 7, -1, -2, 10, 100, 2**31, 2**63, 10**18, 10**400, 0., 0.5, 1., 1.5, -0.5, 1e-300, 1e300, math.nan, math.inf, -math.inf, True, False, 1j, Fraction(1, 3)]
FORMS = [np.int64, np.float32, np.uint8, np.float64, np.int8, torch.tensor, np.array, lambda v: torch.tensor([v]), str, lambda v: [v], lambda v: (v, v), lambda v: torch.tensor(v, device="meta")]
IMAGES = [*[lambda t=t: (x() if t in (torch.uint8, torch.int64, torch.int32, torch.int16) else floats()).to(t) for t in (torch.uint8, torch.int64, torch.int32, torch.int16, torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.bool)],
          lambda: x().numpy(), lambda: floats().numpy(), lambda: x().numpy()[..., ::-1], lambda: floats().tolist(), lambda: x()[:0], lambda: x()[:1], lambda: x()[0], lambda: x()[0, 0], lambda: x()[:, 0], lambda: x()[None],
          lambda: x()[:, :, :0], lambda: x()[:, :0], lambda: x()[..., :27], lambda: x()[..., :3, :3], lambda: x().repeat(1, 3, 1, 1), lambda: x().repeat(1, 1, 2, 2), lambda: floats() * math.nan, lambda: floats() * math.inf, lambda: -floats(), lambda: floats() * 1e38,
          lambda: floats() * 0, lambda: floats().requires_grad_(), lambda: floats().to_sparse(), lambda: floats().to("meta"), lambda: torch.quantize_per_tensor(floats(), 1., 0, torch.quint8), lambda: floats().to(torch.float8_e5m2), lambda: torch.nested.nested_tensor([floats()[0]]),
          lambda: x().permute(3, 2, 1, 0), lambda: np.array([None, "a"]), lambda: torch.ones(N, 10), lambda: torch.ones(3, 3)]
TARGETS = [lambda: y().tolist(), lambda: y().numpy(), lambda: y().byte(), lambda: y().int(), lambda: y().numpy().astype(np.uint16), lambda: y().float(), lambda: y().float() - 0.1, lambda: y().bool(), lambda: y() - 5, lambda: y() + 5, lambda: y() + 2**40, lambda: y()[:3], lambda: y()[:0],
           lambda: y()[:, None], lambda: y() * 0, lambda: y() * 1j, lambda: y().to("meta"), lambda: nn.functional.one_hot(y(), 10), lambda: ["7"] * N]
PROBS = [lambda: probs().log(), lambda: probs() * math.nan, lambda: probs() * 2, lambda: probs() - 0.1, lambda: probs(1), lambda: probs(2), lambda: probs()[:, :0], lambda: probs()[:0], lambda: probs().numpy(), lambda: probs().tolist(), lambda: probs().half(), lambda: probs().double(), lambda: probs()[0],
         lambda: torch.eye(10)[y()], lambda: torch.eye(10)[y()].long(), lambda: probs().requires_grad_(), lambda: probs()[None], lambda: probs() * 1j, lambda: probs() * math.inf]
MODELS = [lambda: SimpleCNN, lambda: nn.Linear(2, 2), lambda: nn.Identity(), nn.Sequential, broken, lambda: model().half(), lambda: model().double(), lambda: model().to("meta"), lambda: model().eval(), lambda: SimpleCNN(3), lambda: SimpleCNN(1), AllConvNet, lambda: nn.LazyLinear(10),
          lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), lambda: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1)), lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10)),
          *[lambda f=f: Shapeless(f) for f in (lambda x: x, lambda x: None, lambda x: (x, x), lambda x: x.flatten(1)[:, :10].long(), lambda x: x.flatten(1)[:, :10] * 1j, lambda x: x.flatten(1)[:1, :10], lambda x: x.flatten(1)[:, :0], lambda x: x.sum(), lambda x: {"logits": x}, lambda x: x.flatten(1)[:, :10] * math.nan)],
          lambda: model().forward, lambda: {"a": 1}, lambda: model().state_dict(), lambda: model().requires_grad_(False)]
OTHERS = [chosen(v) for v in (None, "", "abc", "cpu", "cuda", "meta", "same", "a\0b", "x" * 300, "/dev/null", "/dev/zero", "/", b"bytes", [], (), {}, set(), [None], ["a"], {1: 2}, range(3), range(0), object(), int, len, lambda: 1, lambda *a: a[0], lambda *a: None, lambda *a: math.nan, lambda *a, **k: "a", slice(3), ..., iter([]), Path("."), torch.float32, torch.device("cpu"))]
OTHERS += [lambda: Batches(x(), y(), bs=1), lambda: Batches(floats(), y(), bs=4), lambda: [(x(), y())], lambda: [(floats(), y())], lambda: [(floats(), y().float())], lambda: [(floats(), y()[:2])], lambda: [1, 2], lambda: [(floats()[:0], y()[:0])], lambda: (i for i in [(floats(), y())]),
           torch.Generator, lambda: np.random.default_rng(), lambda: torch.optim.SGD(model().parameters(), lr=1.), chosen(FlatAdam), chosen(torch.optim.Adam), lambda: [Measure(1), Measure(1)], Recipe, lambda: recipes["best"], lambda: [(model().state_dict(), 0.5)], lambda: [({}, 2)], lambda: [nn.Conv2d(1, 1, 3), nn.ReLU()]]


FIXED = set("self name what hint asks note example test_bs transform".split())  # made by the package itself, or for messages
FUNCTIONS = set("f distort opt factor augment loss_fn network test".split())  # in which the package calls what it is given
FLAGS = set("train shuffle drop_last ceil_mode transposed folded any_order pin_memory resume".split())  # true or false, as Python has it
LOW = {"checks": set("x y value values model probs logits device dtype generator params pair batches opt ax color marker".split()), "checks.check_finite": {"model"}, "checks.made_optimizer": {"opt"}, "files": {"path", "root", "a", "image", "model", "state"},  # called by the package: only what comes from outside is odd
       "checks.windows": {"kernel_size", "stride", "padding", "dilation"}, "checks.as_pixels": set(), "files.write_tensors": {"path"}, "data.Augment.positions": {"generator"}}


def number(rng):
    value = rng.choice(NUMBERS)
    if rng.random() < 0.4:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try: return rng.choice(FORMS)(value)
            except Exception: pass
    return value


def odd(rng, name):
    "A value that may be wrong: mostly one of the kind that the parameter's name tells of"
    if name in FLAGS: return rng.choice([0, 1, True, False, None, "", "no", np.True_, 2.5])
    near = {"x": IMAGES, "image": IMAGES, "maps": IMAGES, "over": IMAGES, "features": IMAGES, "baseline": IMAGES, "a": IMAGES, "logits": PROBS, "probs": PROBS, "targets": TARGETS, "preds": TARGETS, "preds_a": TARGETS, "preds_b": TARGETS, "y": TARGETS, "model": MODELS, "models": MODELS, "self": MODELS}.get(name)
    if near and rng.random() < 0.7: return rng.choice(near)()
    kind = rng.choices([None, IMAGES, TARGETS, PROBS, MODELS, OTHERS], [8, 2, 1, 1, 2, 6])[0]
    value = number(rng) if kind is None else rng.choice(kind)()
    if name in FUNCTIONS and callable(value) and not isinstance(value, nn.Module) and not (name == "opt" and value in (FlatAdam, torch.optim.Adam)): value = Theirs(value)
    return 1 if name in ("n_epochs", "rounds") and isinstance(value, (int, np.integer)) and value > 9 else value  # it would do as it is told


class Theirs:
    "A function of a user's, which may raise its own errors, and keeps the last"
    def __init__(self, f): self.f, self.raised = f, None
    def __repr__(self): return repr(self.f)
    def __call__(self, *args, **kwargs):
        try: return self.f(*args, **kwargs)
        except Exception as e:
            self.raised = e
            raise


# Calls

@cache
def functions():
    "The public functions and classes by name, and what was left out of `GOOD`"
    found, lost = {}, []
    for m in pkgutil.iter_modules(mnist_cnn.__path__):
        if m.name.startswith("_"): continue
        module = importlib.import_module(f"mnist_cnn.{m.name}")
        for name in module.__all__:
            f, full = getattr(module, name), f"{m.name}.{name}"
            if not callable(f) or getattr(f, "__module__", None) != module.__name__ or full in LEFT_OUT: continue
            needs = [p.name for p in inspect.signature(f).parameters.values() if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            if set(needs) - set(GOOD.get(full, {})): lost.append(full)
            else: found[full] = f
    for full in GOOD:
        if full.count(".") == 2:
            m, kind, name = full.split(".")
            if hasattr(mnist_cnn, m) and hasattr(getattr(mnist_cnn, m), kind): found[full] = getattr(getattr(getattr(mnist_cnn, m), kind), name)
    return found, lost


def arguments(name, rng, n_odd=None):
    "Arguments by name, and the names of the odd ones"
    f, good = functions()[0][name], GOOD.get(name, {})
    names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    low = LOW.get(name, LOW.get(name.split(".")[0], names))
    free = [n for n in names if n not in FIXED and n in low]
    wrong = rng.sample(free, min(len(free), rng.choice([1, 1, 1, 2]) if n_odd is None else n_odd))
    given = {n: good[n]() for n in names if n in good and n not in wrong}
    return given | {n: odd(rng, n) for n in wrong}, wrong


def parts(value, depth=3):
    "The tensors, arrays and numbers in an answer"
    if isinstance(value, (torch.Tensor, np.ndarray, float, nn.Module)): yield value
    elif depth and dataclasses.is_dataclass(value) and not isinstance(value, type): yield from (p for v in vars(value).values() for p in parts(v, depth - 1))
    elif depth and isinstance(value, dict): yield from (p for v in list(value.values())[:20] for p in parts(v, depth - 1))
    elif depth and isinstance(value, (list, tuple)): yield from (p for v in value[:20] for p in parts(v, depth - 1))


def bits(value):
    "What must not change about an argument"
    if isinstance(value, nn.Module): return tuple([bits(t) for t in value.state_dict().values()] + [m.training for m in value.modules()] + [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in value.modules()] + [p.requires_grad for p in value.parameters()])
    if isinstance(value, np.ndarray): return value.dtype.str, value.shape, value.tobytes() if value.dtype != object else ""
    if isinstance(value, torch.Tensor):
        plain = value.layout is torch.strided and not value.is_nested and not value.is_quantized and not value.is_meta and not isinstance(value, nn.parameter.UninitializedTensorMixin)
        return (value.dtype, value.requires_grad) + ((tuple(value.shape), value.detach().contiguous().clone().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"") if plain else ())
    return None


def state(given):
    "What a call has to leave as it is, by name"
    changing = {"torch's random numbers": torch.get_rng_state().numpy().tobytes(), "NumPy's random numbers": np.random.get_state()[1].tobytes() + bytes([np.random.get_state()[2] % 256]), "Python's random numbers": random.getstate(),
                "the default type": torch.get_default_dtype(), "gradients": torch.is_grad_enabled(), "threads": torch.get_num_threads(), "the folder": os.getcwd(), "SIGINT": signal.getsignal(signal.SIGINT)}
    return changing | {f"the argument {k}": [bits(p) for p in parts(v)] for k, v in given.items()}


def has_nan(value):
    "Is there NaN among the parts of a value?"
    def nan(v):
        if isinstance(v, float): return math.isnan(v)
        if isinstance(v, np.ndarray): return v.dtype.kind in "fc" and bool(np.isnan(v).any())
        return isinstance(v, torch.Tensor) and v.layout is torch.strided and not v.is_nested and not v.is_quantized and not v.is_meta and not isinstance(v, nn.parameter.UninitializedTensorMixin) and (v.is_floating_point() or v.is_complex()) and bool(v.double().isnan().any() if not v.is_complex() else v.isnan().any())
    return any(map(nan, (t for p in parts(value) for t in (p.state_dict().values() if isinstance(p, nn.Module) else [p]))))


def ours(error):
    "Was it raised by a `raise` of the package's, or is it the system's word on a file, with the file's name?"
    if isinstance(error, OSError) and error.errno and error.filename is not None: return True
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Path(last.filename).parent == Path(mnist_cnn.__file__).parent and "raise" in linecache.getline(last.filename, last.lineno)


def place(error):
    "The last line of the package's that an error came through"
    frames = traceback.extract_tb(error.__traceback__)
    last = next((f for f in reversed(frames) if Path(f.filename).parent == Path(mnist_cnn.__file__).parent), frames[-1])
    return f"{Path(last.filename).name}:{last.lineno} {last.name}"


def theirs(error, given, wrong):
    "Did an odd model or function, or a layer that is not the package's, fail in itself? Its error tells its author more than ours could"
    values = [m for n in wrong for m in (given[n] if isinstance(given[n], (list, tuple)) else [given[n]])]
    if any(isinstance(v, Theirs) and v.raised is error for v in values): return True
    called = [f.f_locals["self"] for f, _ in traceback.walk_tb(error.__traceback__) if f.f_code.co_name == "_call_impl"]  # the outermost model first
    return bool(called) and (any(isinstance(v, nn.Module) for v in values) or not type(called[0]).__module__.startswith("mnist_cnn"))


def told(given, wrong):
    "The odd arguments, in short"
    def short(v):
        if isinstance(v, (torch.Tensor, np.ndarray)): return f"{type(v).__name__} {v.dtype} {'nested' if getattr(v, 'is_nested', False) else tuple(v.shape)}"
        try: return " ".join(repr(v).split())[:70]
        except Exception: return type(v).__name__
    return ", ".join(f"{n}={short(given[n])}" for n in wrong)


def call(i, seed=0):
    "Make call `i`: the function, what came of it in a word, and the fault if there is one"
    rng = random.Random(f"{seed} {i}")
    names = sorted(functions()[0])
    name = names[i % len(names)]
    torch.manual_seed(i), np.random.seed(i % 2**32), random.seed(i)
    with warnings.catch_warnings(), open(os.devnull, "w") as null:
        warnings.simplefilter("ignore")
        given, wrong = arguments(name, rng)
        what, before, answered, stopped = f"{name}({told(given, wrong)})", state(given), False, False
        def late(*_): raise Late(f"no answer in {SECONDS} s of the processor")
        signal.signal(signal.SIGPROF, late)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        out, err, sys.stdout, sys.stderr = sys.stdout, sys.stderr, null, null
        try:
            answer, fault = functions()[0][name](**given), None
            if isinstance(answer, AbstractContextManager):
                with answer: pass
            answered = True
        except Late as e: return name, "late", f"{what}: {e}"
        except (Exception, SystemExit) as e: fault, stopped = None if isinstance(e, CLEAR) and ours(e) else e, isinstance(e, FloatingPointError)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            sys.stdout, sys.stderr = out, err
        if fault is not None and theirs(fault, given, wrong): return name, "the model's", None
        if fault is not None: return name, "deep", f"{what}: {type(fault).__name__}: {' '.join(str(fault).split())[:110]}  [{place(fault)}]"
        after = state(given)
        changed = [k for k in before if before[k] != after[k] and not ((answered or stopped) and name in CHANGES)]
        if changed: return name, "changed", f"{what}: {', '.join(changed)} changed"
        if answered and name not in UNKNOWN and has_nan(answer) and not any(map(has_nan, given.values())): return name, "NaN", f"{what}: the answer holds NaN"
        return name, "answered" if answered else "rejected", None


class Late(BaseException):
    "Raised in a call that takes too long."


def setups():
    "A line for each function of which the good arguments are not good, and for each that has none; in a process of its own, so that the calls begin from a fresh one"
    held(), functions()
    mine, theirs = multiprocessing.Pipe(False)
    process = multiprocessing.get_context("fork").Process(target=lambda: theirs.send(_setups()))
    process.start()
    found = mine.recv()
    process.join()
    return found


def _setups():
    faults = [f"{name}: no good arguments are known; put it into GOOD or LEFT_OUT" for name in functions()[1]]
    for name, f in functions()[0].items():
        with warnings.catch_warnings(), tempfile.TemporaryDirectory():
            warnings.simplefilter("ignore")
            try:
                given, _ = arguments(name, random.Random(0), 0)
                answer = f(**given)
                if isinstance(answer, AbstractContextManager):
                    with answer: pass
            except Exception as e:
                if name not in ("checkpoint.read_checkpoint", "exercises.check"): faults.append(f"{name}: good arguments raise {type(e).__name__}: {e}")
    return faults


def work(numbers, seed, pipe, folder):
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    for i in numbers:
        pipe.send((i, None))
        try: pipe.send((i, call(i, seed)))
        except Exception as e: pipe.send((i, (sorted(functions()[0])[i % len(functions()[0])], "fuzzer", f"call {i} broke the fuzzer: {''.join(traceback.format_exception(e))[-400:]}")))
    pipe.send((None, None))


def fuzz(numbers, seed=0, say=None):
    "Counts of what came of the calls with these numbers, and the faults: a line for each; the calls are made in a process of their own, since some may end it"
    held(), functions()
    counts, faults, numbers = Counter(), [], list(numbers)
    names, n = sorted(functions()[0]), 0
    with tempfile.TemporaryDirectory() as folder:
        while n < len(numbers):
            mine, theirs = multiprocessing.Pipe(False)
            process = multiprocessing.get_context("fork").Process(target=work, args=(numbers[n:], seed, theirs, folder))
            process.start()
            theirs.close()
            i = numbers[n]
            while True:
                try: i, result = mine.recv() if mine.poll(LOST) else (i, "lost")
                except EOFError: result = "ended"
                if result is None and i is None: n = len(numbers)
                if result is None and i is not None: continue
                if isinstance(result, str):
                    process.kill()
                    process.join()
                    result = names[i % len(names)], result, f"call {i} of {names[i % len(names)]}: the process was {result} ({process.exitcode})"
                    again = True
                else: again = False
                if result is None: break
                counts[result[1]] += 1
                if result[2]: faults.append((i, *result))
                n += 1
                if say and n % 1000 == 0: say(f"{n:,} of {len(numbers):,}: {len(faults)} faults")
                if again: break
            process.join()
    return counts, faults


def main():
    p = argparse.ArgumentParser(description="Call the public functions with odd arguments.")
    p.add_argument("--n", type=int, default=2000, help="how many calls (default: 2000)")
    p.add_argument("--seed", type=int, default=0, help="for other arguments (default: 0)")
    p.add_argument("--first", type=int, default=0, help="number of the first (default: 0)")
    p.add_argument("--all", action="store_true", help="show every fault, not only the first of each kind and place")
    a = p.parse_args()
    lost = setups()
    for line in lost: print(line)
    counts, faults = fuzz(range(a.first, a.first + a.n), a.seed, lambda text: print(text, file=sys.stderr, flush=True))
    for what, n in sorted(counts.items()): print(f"{what:14} {n:9,}")
    seen = set()
    for i, name, kind, text in sorted(faults, key=lambda f: (f[1], f[2], f[0])):
        key = name, kind, text.rsplit("  [", 1)[-1] if kind == "deep" else text.rsplit(":", 1)[-1]
        if a.all or key not in seen: print(f"call {i}: {kind}: {text}")
        seen.add(key)
    sys.exit(bool(faults or lost))


if __name__ == "__main__": main()
