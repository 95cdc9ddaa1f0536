"""Checkpoints of which one field is wrong, into `fit`: `python tests/mutate.py`. Its short form is tests/test_mutate.py.

Five runs are stopped (with three optimizers, within an epoch and at the end of one, with callbacks that have a state and without). In what they kept, each value in turn is replaced by each of some fifty others, left out, or given company, and the run is resumed.
Either `fit` raises a `ValueError` that names the file, and neither model nor random numbers have changed, or it ends as a run should:
all epochs in its history, finite weights, in time. Anything else is a fault, and ends in status 1.
"""
import argparse, copy, math, random, signal, sys, tempfile, warnings
from collections import Counter
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import numpy as np
import torch

from fuzz import in_time
from mnist_cnn.checkpoint import Checkpoint, Stopped, read_checkpoint
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.files import on_cpu, write_tensors
from mnist_cnn.model import SimpleCNN
from mnist_cnn.recipes import Average, OneCycle, Schedule
from mnist_cnn.steps import Progress
from mnist_cnn.training import Measure, fit, set_seed

N_EPOCHS = 2
X, Y = (t[:48] for t in load_tensors())
KINDS = {"Adam, end of an epoch": dict(at=0), "Adam, within an epoch": dict(at=5), "SGD, within an epoch": dict(at=4, opt=partial(torch.optim.SGD, momentum=0.9)),
         "mean and schedule, within an epoch": dict(at=5, callbacks=lambda: [Average(0.9), Schedule(OneCycle())]),
         "PyTorch's Adam, last batch of an epoch": dict(at=3, opt=torch.optim.Adam)}


class StopAt:
    "A callback that presses Ctrl-C in the step numbered `at`, or at the end of the first epoch if that is 0."
    def __init__(self, at): self.left = at

    def before_batch(self, loop):
        self.left -= 1
        if not self.left: signal.raise_signal(signal.SIGINT)

    def after_epoch(self, loop):
        if loop.epoch and self.left < 0: signal.raise_signal(signal.SIGINT)


def train(path, resume=False, at=None, opt=None, callbacks=list):
    "One run, from the same beginning each time; its model and history."
    set_seed(1)
    model = SimpleCNN()
    more = [StopAt(at)] if at is not None and not resume else []
    history = fit(model, Batches(X, Y, 16, shuffle=True, device="cpu"), n_epochs=N_EPOCHS, opt=opt, device="cpu",
                  callbacks=[Checkpoint(path, resume), Measure(None), Progress(False), *callbacks(), *more])
    return model, history


def kept(kind, folder):
    "What a stopped run of this kind keeps."
    path = Path(folder)/"kept.checkpoint"
    try: train(path, **KINDS[kind])
    except Stopped: return read_checkpoint(path)
    raise AssertionError("the run was not stopped")


def places(value, at=()):
    "Where all values within a value are: the keys that lead to each."
    if at: yield at
    if type(value) is dict:
        for k, v in value.items(): yield from places(v, (*at, k))
    elif type(value) in (list, tuple):
        for i in [*range(min(3, len(value))), *([len(value) - 1] if len(value) > 3 else [])]: yield from places(value[i], (*at, i))


def others(value):
    "What may stand in the place of a value."
    yield from (None, True, -1, 0, 1, 3, 625, 2**31, 2**63, 10**18, -2**70, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e308, "", "x", "MT19937", [], {}, (), [None], {"x": 1},
                [0] * 5, torch.zeros(()), torch.zeros(3), torch.tensor(2**40), torch.zeros(0, dtype=torch.uint8), torch.zeros(5056, dtype=torch.uint8),
                torch.full((5056,), 255, dtype=torch.uint8), torch.zeros(16, 1, 3, 3), torch.zeros(2, 2).to_sparse(), torch.zeros(3, dtype=torch.complex64))
    if isinstance(value, torch.Tensor):
        yield from (value[None], value.flatten()[:-1], value.to(torch.float64), value.to(torch.int16), torch.full_like(value, 1), torch.zeros_like(value), value.to_sparse())
        if value.is_floating_point(): yield from (torch.full_like(value, v) for v in (math.nan, math.inf, -1, 1e30))
        else: yield from (torch.full_like(value, v) for v in (torch.iinfo(value.dtype).max, torch.iinfo(value.dtype).min, 7))
    elif type(value) in (int, float): yield from (-value, value + 1, value * 1e6, float(value), str(value), [value])
    elif type(value) in (list, tuple): yield from (value[:-1], [*value, *value], [*value, None], list(value), tuple(value), value[::-1])
    elif type(value) is dict: yield from ({**value, "more": 1}, {**value, 5: 1}, {str(k) + "x": v for k, v in value.items()})


def put(state, at, value, drop=False):
    "A copy of `state` with another value, or none, at a place."
    state = copy.deepcopy(state)
    def change(node, keys):
        k, *rest = keys
        new = node[k] if rest else value
        if rest: new = change(node[k], rest)
        if type(node) is dict:
            if drop and not rest: del node[k]
            else: node[k] = new
            return node
        return type(node)([*node[:k], *([] if drop and not rest else [new]), *node[k + 1:]])
    return change(state, list(at))


def outcome(state, kind, path):
    "What a resumed run makes of a state: a word, and the fault if there is one."
    write_tensors(state, path)
    settings, before = KINDS[kind], {}
    class Note:  # the model and the random numbers as they were before anything is restored
        order = -1
        def check(self, loop): before.update(model=on_cpu(loop.model), loop=loop, random=numbers())
    def numbers(): return torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2]
    given = settings.get("callbacks", list)
    try:
        with in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, history = train(path, resume=True, **{**settings, "callbacks": lambda: [*given(), Note()]})
    except ValueError as e:
        if str(path) not in str(e): return "fault", f"an error that does not name the file: {e}"
        if before:
            now = before["loop"].model.state_dict()
            if any(not torch.equal(v, now[k]) for k, v in before["model"].items()): return "fault", "rejected, and the model is another"
            if numbers() != before["random"]: return "fault", "rejected, and the random numbers are others"
        return "rejected", None
    except FloatingPointError: return "not finite", None  # as `fit` says of any run whose numbers grow too large
    except BaseException as e:
        if type(e) is KeyboardInterrupt: raise
        return "fault", f"{type(e).__name__}: {e}"
    if [e.epoch for e in history.epochs] != list(range(N_EPOCHS + 1)): return "fault", f"its history has the epochs {[e.epoch for e in history.epochs]}"
    if not all(t.isfinite().all() for t in model.state_dict().values()): return "fault", "weights that are not finite"
    return "resumed", None


def mutations(state):
    "All mutations of a state: the place, what is done there, and the state that comes of it."
    for at in places(state):
        value = state
        for k in at: value = value[k]
        yield at, "left out", partial(put, state, at, None, True)
        for new in others(value): yield at, f"{type(new).__name__} {str(new)[:40]}", partial(put, state, at, new)


def mutate(share=1, seed=0, say=None):
    "Counts of what came of a fraction of all mutations, and a line for each fault."
    counts, faults, rng = Counter(), [], random.Random(seed)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for kind in KINDS:
            state = kept(kind, folder)
            assert outcome(state, kind, Path(folder)/"sound.checkpoint") == ("resumed", None), kind
            for at, what, made in mutations(state):
                if rng.random() >= share: continue
                result, fault = outcome(made(), kind, Path(folder)/"wrong.checkpoint")
                counts[result] += 1
                if fault: faults.append(f"{kind}: {'.'.join(map(str, at))} = {what}: {fault}".replace(folder, "").replace("\n", " ")[:300])
            if say: say(f"{kind}: {sum(counts.values()):,} so far, {len(faults)} faults")
    return counts, faults


def main():
    p = argparse.ArgumentParser(description="Resume from checkpoints of which one field is wrong.")
    p.add_argument("--share", type=float, default=1, help="fraction of all mutations to try, 0 to 1 (default: 1)")
    p.add_argument("--seed", type=int, default=0, help="for another fraction (default: 0)")
    a = p.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits an ignored one
    counts, faults = mutate(a.share, a.seed, lambda text: print(text, file=sys.stderr, flush=True))
    for what, n in sorted(counts.items()): print(f"{what:14} {n:9,}")
    for f in faults: print(f)
    sys.exit(bool(faults))


if __name__ == "__main__": main()
