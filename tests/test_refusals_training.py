"What steps, training, recipes, checkpoints, the diagnosis, the speed run and the exercises reject, before anything has changed."
import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.checkpoint import Checkpoint
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.diagnosis import diagnose
from mnist_cnn.exercises import Choice, Numbers, Trial, ask, check
from mnist_cnn.model import SimpleCNN
from mnist_cnn.recipes import OneCycle, Recipe, Schedule, recipes, run_recipe
from mnist_cnn.speed import SpeedRecipe
from mnist_cnn.steps import EagerStep, FlatAdam, KernelStep, Step, casting, evaluating, hardware, kernels_for, optimizer_for
from mnist_cnn.training import Epoch, History, Measure, evaluate, fit, lr_range, table

X, Y = (t[:12] for t in load_tensors(train=False))
PIXELS, TRAIN, MODEL = X.float() / 255, Batches(X, Y, 4), SimpleCNN().eval()
FROZEN, LAZY, META = SimpleCNN().requires_grad_(False), nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), SimpleCNN().to("meta")
CPU = torch.device("cpu")


class Constant(nn.Module):
    "Logits that do not come from its weight"
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
    def forward(self, x): return torch.ones(len(x), 10)


class OneRow(Constant):
    def forward(self, x): return self.weight * x.flatten(1)[:1, :10]


def state(): return [torch.get_rng_state().tolist(), *[t.tolist() for t in MODEL.state_dict().values()], *[m.training for m in MODEL.modules()]]


def within(block):
    with block: pass


def rejected(call, says):
    before = state()
    with pytest.raises((TypeError, ValueError)) as raised: call()
    assert says in str(raised.value), raised.value
    assert state() == before


@pytest.mark.parametrize("given, says", [
    (dict(params=3), "params is 3"), (dict(params=[]), "as model.parameters() gives them"), (dict(params=PIXELS), "as model.parameters() gives them"), (dict(params=["a"]), "as model.parameters() gives them"),
    (dict(lr="fast"), "lr is 'fast'"), (dict(lr=-1), "lr is -1"), (dict(lr=1e300), "lr is 1e+300"), (dict(betas=0.9), "betas is 0.9"), (dict(betas=(0.9,)), "betas holds 1"), (dict(betas=(0.9, 1.)), "one of betas is 1.0"),
    (dict(eps=math.nan), "eps is nan"), (dict(weight_decay=-1), "weight_decay is -1"), (dict(weight_decay=PIXELS), "weight_decay is")], ids=str)
def test_flat_adam(given, says):
    rejected(lambda: FlatAdam(**{"params": MODEL.parameters(), **given}), says)


@pytest.mark.parametrize("kind", [Step, EagerStep, KernelStep])
@pytest.mark.parametrize("given, says", [(dict(label_smoothing=2), "label_smoothing is 2"), (dict(label_smoothing=PIXELS), "label_smoothing is"), (dict(label_smoothing="0"), "label_smoothing is '0'"),
                                         (dict(autocast="bfloat16"), "autocast is 'bfloat16'"), (dict(autocast=torch.int64), "autocast is torch.int64"), (dict(loss_fn=3), "loss_fn is 3")], ids=str)
def test_steps(kind, given, says):
    rejected(lambda: kind(**given), says)


@pytest.mark.parametrize("call, says", [
    (lambda: within(casting(CPU, "bfloat16")), "autocast is 'bfloat16'"), (lambda: within(casting(CPU, PIXELS)), "autocast is"), (lambda: within(casting(3.5, torch.bfloat16)), "device is 3.5"),
    (lambda: within(casting(torch.device("meta"), torch.bfloat16)), "holds no data"), (lambda: within(evaluating(3)), "3 is not a model"), (lambda: within(evaluating(SimpleCNN)), "is a class"), (lambda: within(evaluating(LAZY)), "lazy"),
    (lambda: hardware("gpu"), "device is 'gpu'"), (lambda: hardware(MODEL), "device is SimpleCNN"), (lambda: hardware(-1), "device is -1"),
    (lambda: kernels_for(MODEL, X, 10**7), "do not say what shape"), (lambda: kernels_for(MODEL, TRAIN, PIXELS), "n_samples is"), (lambda: kernels_for(MODEL, TRAIN, 10**7, max_bs="16"), "max_bs is '16'"),
    (lambda: within(optimizer_for(3)), "3 is not a model"), (lambda: within(optimizer_for(MODEL, opt=3)), "opt is 3"), (lambda: within(optimizer_for(MODEL, opt=range(3))), "opt is range(0, 3)"),
    (lambda: within(optimizer_for(MODEL, opt=lambda p, lr: None)), "opt makes None"), (lambda: within(optimizer_for(MODEL, lr="fast")), "lr is 'fast'"), (lambda: within(optimizer_for(MODEL, device=3.5)), "device is 3.5")])
def test_parts_of_a_run(call, says):
    rejected(call, says)


def test_weights_stay_in_order_where_no_optimizer_is_made():
    def fails(params, lr): raise RuntimeError("not today")
    with pytest.raises(RuntimeError, match="not today"), optimizer_for(MODEL, fails): pass
    assert all(p.is_contiguous() for p in MODEL.parameters())


BATCHES = [(3, "batches"), (None, "batches"), (X, "expected batches"), ("no", "expected batches"), (nn.ReLU(), "expected batches"), ([X], "two tensors"), ([(X, Y, Y)], "two tensors"), ([(PIXELS.numpy(), Y)], "two tensors"), ([(PIXELS, 3)], "two tensors"),
           ([(PIXELS, Y[:2])], "12 images but 2 targets"), ([(PIXELS, Y.float())], "the targets are float32"), ([(X, Y)], "x.float() / 255"), ([(PIXELS.double(), Y)], "x.to(torch.float32)"), ([(PIXELS, Y + 5)], "logits for the classes 0 to 9"), ([(PIXELS[:0], Y[:0])], "at least one"), ([], "at least one")]


@pytest.mark.parametrize("batches, says", BATCHES, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("f", [lambda b: evaluate(MODEL, b), lambda b: fit(MODEL, b, n_epochs=1, device="cpu", callbacks=[Measure(None)]), lambda b: fit(MODEL, b, n_epochs=1, device="cpu"), lambda b: lr_range(MODEL, b),
                               lambda b: diagnose(MODEL, b, n_steps=2)], ids=["evaluate", "fit", "fit, measured", "lr_range", "diagnose"])
def test_batches(f, batches, says):
    "A list is looked at before anything changes; of what is read as it comes, the first batch"
    rejected(lambda: f(batches), says)


@pytest.mark.parametrize("given, says", [
    (dict(model=3), "3 is not a model"), (dict(model=FROZEN), "no parameters to train"), (dict(model=LAZY), "lazy"), (dict(model=META), "on the meta device"), (dict(model=OneRow()), "1 rows of logits for 4 images"),
    (dict(model=Constant()), "computed from the weights of Constant"), (dict(model=SimpleCNN(3)), "the classes 0 to 2"), (dict(valid=3), "valid is 3"), (dict(valid=[]), "valid has no batches"), (dict(valid=[X]), "one of valid"),
    (dict(n_epochs=1.5), "n_epochs is 1.5"), (dict(lr=0), "lr is 0"), (dict(lr=1e300), "lr is 1e+300"), (dict(opt=3), "opt is 3"), (dict(opt=lambda p, lr: 3), "opt makes 3"), (dict(device="gpu"), "device is 'gpu'"), (dict(device=3.5), "device is 3.5"),
    (dict(callbacks=3), "callbacks is 3"), (dict(callbacks=["a"]), "'a' is not a callback"), (dict(callbacks=[Measure]), "is not a callback"), (dict(step=EagerStep), "step is"), (dict(step=3), "step is 3"), (dict(step=PIXELS), "step is")], ids=lambda v: str(v)[:30])
def test_fit(given, says):
    rejected(lambda: fit(**{"model": MODEL, "train": TRAIN, "n_epochs": 1, "device": "cpu", "callbacks": [Measure(None)], **given}), says)


@pytest.mark.parametrize("loss_fn, says", [(lambda logits, y: 3., "the loss is 3.0"), (lambda logits, y: logits, "expected a number with a gradient"), (lambda logits, y: logits.detach().sum(), "expected a number with a gradient")])
def test_losses(loss_fn, says):
    rejected(lambda: fit(MODEL, TRAIN, n_epochs=1, device="cpu", step=EagerStep(loss_fn), callbacks=[Measure(None)]), says)


def test_targets_of_other_kinds():
    "Classes in any whole type are counted alike, and probabilities of the classes are learned"
    assert len({evaluate(MODEL, [(PIXELS, Y.to(kind))]).loss for kind in (torch.int64, torch.int32, torch.uint8)}) == 1
    soft = nn.functional.one_hot(Y, 10).float()
    learned = [fit(copy.deepcopy(MODEL), [(PIXELS, y)], n_epochs=1, device="cpu", step=EagerStep(), callbacks=[Measure(None)]).loss[-1] for y in (Y, soft)]
    assert learned[0] == pytest.approx(learned[1], rel=1e-5)


@pytest.mark.parametrize("call, says", [
    (lambda: evaluate(MODEL, TRAIN, autocast="bfloat16"), "autocast is 'bfloat16'"), (lambda: evaluate(MODEL, TRAIN, autocast=PIXELS), "autocast is"), (lambda: evaluate(OneRow(), TRAIN), "1 rows of logits for 12 images"),
    (lambda: evaluate(META, TRAIN), "on the meta device"), (lambda: lr_range(3, TRAIN), "not a model"), (lambda: lr_range(FROZEN, TRAIN), "no parameters to train"), (lambda: lr_range(MODEL, TRAIN, low=0), "low is 0"),
    (lambda: lr_range(MODEL, TRAIN, high="1"), "high is '1'"), (lambda: lr_range(MODEL, TRAIN, high=1e300), "high is 1e+300"), (lambda: lr_range(Constant(), TRAIN), "computed from the weights"),
    (lambda: table(3, [[1]]), "head is 3"), (lambda: table("ab", [[1, 2]]), "head is 'ab'"), (lambda: table(["a"], 3), "rows is 3"), (lambda: table(["a"], [1]), "one of rows is 1"), (lambda: table(["a"], [[1, 2]]), "expected 1 in each"),
    (lambda: table(["a"], [[1]], align=3), "align is 3"), (lambda: History(3), "epochs is 3"), (lambda: History([3]), "one of epochs is 3"), (lambda: History(settings=3), "settings is 3"), (lambda: History(settings=PIXELS), "settings is"),
    (lambda: History(made_with=[1]), "made_with is [1]"), (lambda: History([Epoch(0, None, 0.1, None, 1.)]).plot(ax=3), "ax is 3"), (lambda: History().plot(ax=PIXELS), "ax is")])
def test_evaluation_tables_and_histories(call, says):
    rejected(call, says)


@pytest.mark.parametrize("call, says", [
    (lambda: OneCycle()(None), "t is None"), (lambda: OneCycle()(1.5), "t is 1.5"), (lambda: OneCycle()(math.nan), "t is nan"), (lambda: OneCycle()(PIXELS), "t is"), (lambda: Schedule(3), "factor is 3"), (lambda: Recipe().fit(MODEL, TRAIN, 3), "callbacks is 3"),
    (lambda: Recipe().batches(X, Y, "gpu"), "device is 'gpu'"), (lambda: run_recipe("best", 0, (X, Y), (X, Y)), "recipe is 'best'"), (lambda: run_recipe(Recipe(), "0", (X, Y), (X, Y)), "seed is '0'"),
    (lambda: run_recipe(Recipe(), 0, X, (X, Y)), "train is"), (lambda: run_recipe(Recipe(), 0, (X, Y), 3), "unseen is 3"), (lambda: run_recipe(Recipe(), 0, (X, Y), (X, Y[:3])), "unseen has 12 images but 3 targets"),
    (lambda: run_recipe(Recipe(), 0, (X, Y), (X, Y - 9)), "a target is"), (lambda: run_recipe(recipes["classic"], 0, (X.int(), Y), (X, Y)), "int32")])
def test_recipes(call, says):
    "None of them touches the random numbers"
    rejected(call, says)


@pytest.mark.parametrize("given, says", [
    (dict(model=3), "not a model"), (dict(model=FROZEN), "no parameters to train"), (dict(model=OneRow()), "1 rows of logits for 12 images"), (dict(valid=3), "valid is 3"), (dict(valid=[(PIXELS, Y[:2])]), "12 images but 2 targets"),
    (dict(valid=[(PIXELS, Y + 5)]), "the classes 0 to 9"), (dict(lr=1e300), "lr is"), (dict(opt=3), "opt is 3"), (dict(opt=lambda p, lr: None), "opt makes None"), (dict(n_steps=2**63), "n_steps is")], ids=lambda v: str(v)[:30])
def test_diagnosis(given, says):
    rejected(lambda: diagnose(**{"model": MODEL, "batches": TRAIN, "n_steps": 2, **given}), says)


@pytest.mark.parametrize("given, says", [(dict(settings=3), "settings are 3"), (dict(settings="seed"), "settings are 'seed'"), (dict(settings=PIXELS), "expected plain values"), (dict(settings={"f": len}), "expected plain values"), (dict(path=3), "3 is not a path")], ids=str)
def test_checkpoints(tmp_path, given, says):
    rejected(lambda: Checkpoint(**{"path": tmp_path / "run.checkpoint", **given}), says)


@pytest.mark.parametrize("given", [dict(crop=7), dict(crop=1.5), dict(hidden="64"), dict(bs=0), dict(epochs=math.nan), dict(epochs=PIXELS), dict(lr=-1), dict(warmup=2), dict(label_smoothing=1.5)], ids=str)
def test_speed_recipes(given):
    rejected(lambda: SpeedRecipe(**given), f"{next(iter(given))} is")


ONE, TWO = Numbers("a size", (3,)), Choice("one", {"a": "", "b": "no"})


@pytest.mark.parametrize("answer", [10**400, torch.ones(2, device="meta"), PIXELS.to_sparse(), torch.Tensor, np.array([None]), {}, None, object(), True, PIXELS], ids=lambda v: str(v)[:20])
def test_answers_that_are_none(answer):
    "A wrong answer is never an error: the checker says what is wrong with it"
    assert ONE.fault(answer) and TWO.fault(answer)


def test_answers_that_are_right():
    assert not any(ONE.fault(a) for a in (3, "3", torch.tensor(3), np.array([3]), [3.])) and not any(TWO.fault(a) for a in ("a", " A", 1, np.int64(1), torch.tensor(1))) and TWO.fault(2) == "no"


@pytest.mark.parametrize("call, says", [
    (lambda: ask(0, ONE, 3), "number is 0"), (lambda: ask([1], ONE, 3), "number is [1]"), (lambda: ask(1, 3, 3), "kind is 3"), (lambda: ask(1, ONE, 4), "exercise 1: Try again."), (lambda: Trial("a", 3), "test is 3"), (lambda: check([1], 3), "exercise [1] was not asked")])
def test_exercises(call, says):
    rejected(call, says)
