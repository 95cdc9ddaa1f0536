"""A training run in which something goes wrong at each of its writes: `python tests/faults.py`. Its short form is in tests/test_faults.py.

`mnist-cnn train` is run once to count what it does to the disk: folders made, files opened, parts written, files synchronised, renamed
and removed. Then it is run again for each of these steps, and just before that step the disk is full, the permission is lost, the process is
killed, or Ctrl-C is pressed. Afterwards no file may be half written, no epoch that was reported may be missing from the checkpoint, and
`--resume` must end in the very weights of a run without faults. What does not hold is a fault, and ends in status 1.
"""
import argparse, builtins, errno, io, os, re, shutil, signal, sys, tempfile, traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import matplotlib.backends.backend_agg, matplotlib.figure  # noqa: F401 (what a run imports late, so that each copy of this process need not)
import torch
from PIL import Image

import mnist_cnn.distributed, mnist_cnn.evaluation, mnist_cnn.recipes  # noqa: F401
from few import few_digits
from mnist_cnn import cli
from mnist_cnn.checkpoint import read_checkpoint
from mnist_cnn.files import load_weights
from mnist_cnn.model import SimpleCNN

N, N_EPOCHS = 96, 2
ACTS = {"disk full": errno.ENOSPC, "no permission": errno.EACCES, "killed": signal.SIGKILL, "Ctrl-C": signal.SIGINT}
NAMES = {"CNN.pt", "CNN.png", "CNN.checkpoint"}


class Faulty:
    "Counts the steps in `folder` and lets `act` happen before the one numbered `at`."
    def __init__(self, folder, at=None, act=None):
        self.folder, self.at, self.act, self.steps = str(folder), at, act, []

    def step(self, what, path):
        if not str(path).startswith(self.folder): return
        self.steps.append(what)
        if len(self.steps) - 1 != self.at: return
        if self.act in ("killed", "Ctrl-C"): signal.raise_signal(ACTS[self.act])
        else: raise OSError(ACTS[self.act], os.strerror(ACTS[self.act]), str(path))

    def install(self):
        "For good: the process that calls this ends soon."
        def before(what, function, where=0):
            def stepping(*args, **kwargs):
                self.step(what, args[where])
                return function(*args, **kwargs)
            return stepping
        for what in ("mkdir", "unlink", "rmdir"): setattr(os, what, before(what, getattr(os, what)))
        os.replace = before("replace", os.replace, 1)
        fsync, real_open = os.fsync, io.open
        def synchronise(fd):
            self.step("fsync", os.readlink(f"/proc/self/fd/{fd}"))
            fsync(fd)
        os.fsync = synchronise
        os_open = os.open
        def creating(path, flags, *args, **kwargs):
            if flags & os.O_CREAT: self.step("open", path)
            return os_open(path, flags, *args, **kwargs)
        os.open = creating
        def opening(path, mode="r", *args, **kwargs):
            if not set(mode) & set("wxa+"): return real_open(path, mode, *args, **kwargs)
            name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path
            if not isinstance(path, int): self.step("open", path)
            f = real_open(path, mode, *args, **kwargs)
            return Parts(f, lambda: self.step("write", name)) if "b" in mode and str(name).startswith(self.folder) else f
        builtins.open = io.open = opening


class Parts:
    "A binary file that calls `step` before each write."
    def __init__(self, f, step): self._f, self._step = f, step
    def __enter__(self): return self
    def __exit__(self, *_): self._f.close()
    def __getattr__(self, name): return getattr(self._f, name)
    def write(self, data):
        self._step()
        return self._f.write(data)


def run(folder, *words, at=None, act=None):
    "`mnist-cnn train` in a copy of this process: its exit code, what it said, and its steps"
    log, steps = folder.parent / "log", folder.parent / "steps"
    if not (child := os.fork()):
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            faulty = Faulty(folder, at, act)
            faulty.install()
            code = cli.main(["train", "--root", str(folder.parent / "few"), "--n-epochs", str(N_EPOCHS), "--device", "cpu",
                             "--out", str(folder / "CNN.pt"), *words])
            steps.write_text(" ".join(faulty.steps))
        except BaseException:
            code = 99
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text(), steps.read_text().split() if steps.exists() else []


def told(said):
    "The lines on the epochs, without times"
    return re.findall(r"^(?:before|epoch|after).*?(?=   [\d.]+ s|$)", said, re.M)


def weights(path): return {k: v.numpy().tobytes() for k, v in load_weights(SimpleCNN(), path).state_dict().items()}


def whole(folder):
    "The weights and the number of epochs of what is kept, if all of it can be read; None for what is not there"
    found, epochs = None, None
    if (folder / "CNN.pt").exists(): found = weights(folder / "CNN.pt")
    if (folder / "CNN.checkpoint").exists(): epochs = len(read_checkpoint(folder / "CNN.checkpoint")["history"]) - 1
    if (folder / "CNN.png").exists():
        with Image.open(folder / "CNN.png") as plot: plot.load()
    return found, epochs


def spread(steps, n):
    "Numbers of `n` steps, as different as can be: of each kind one early, one late, one in between …"
    kinds = {}
    for i, s in enumerate(steps): kinds.setdefault(s, []).append(i)
    order = [k[round(at * (len(k) - 1))] for at in (0.5, 1, 0, 0.25, 0.75) for k in kinds.values()]
    return list(dict.fromkeys(order))[:n]


def check(folder, at, act, older, reference, lines):
    "Whatever is wrong after `act` at step `at` of a run in `folder`, where an older run has left its files"
    code, said, _ = run(folder, at=at, act=act)
    wanted = {"killed": -signal.SIGKILL, "Ctrl-C": 130}.get(act, 1)
    survived = code == 0 and act != "killed" and told(said) == lines and weights(folder / "CNN.pt") == reference
    if code != wanted and not survived: yield f"exit code {code}, not {wanted}: {said[-300:]}"
    if code > 0 and (len(re.findall(r"^mnist-cnn: error: .*", said, re.M)) != 1 or "Traceback" in said): yield f"no one clear line: {said[-300:]}"
    left = {p.name for p in folder.iterdir()} - NAMES
    if left and act != "killed": yield f"left behind: {left}"
    try: kept, epochs = whole(folder)
    except Exception as e:
        yield f"not whole: {type(e).__name__}: {e}"
        return
    if kept not in (older, reference): yield "the weights are neither the older run's nor this one's"
    reported = [int(n) for n in re.findall(r"^epoch (\d+)", said, re.M)]
    if (epochs or 0) < max(reported, default=0): yield f"epoch {max(reported)} was reported, but the checkpoint holds {epochs}"
    code, said, _ = run(folder, "--resume")
    if code or told(said) != lines: yield f"does not go on: {said[-300:]}"
    elif weights(folder / "CNN.pt") != reference: yield "goes on to other weights"


def faults(acts=tuple(ACTS), sample=None, say=None):
    "Counts of what was tried, and a line for each fault; `sample`: try only so many steps, spread over the run"
    torch.set_num_threads(1)
    counts, found = Counter(), []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp).resolve()
        few_digits(tmp / "few", N, 32)
        clean, older = tmp / "clean", tmp / "older"
        code, said, steps = run(clean)
        assert code == 0 and {"mkdir", "open", "write", "fsync", "replace", "unlink"} == set(steps), said
        reference, lines = weights(clean / "CNN.pt"), told(said)
        code, said, _ = run(older, "--seed", "1", "--n-epochs", "1")
        assert code == 0 and (kept := weights(older / "CNN.pt")) != reference, said
        (older / "CNN.checkpoint").unlink()
        for act in acts:
            for at in spread(steps, sample) if sample else range(len(steps)):
                folder = tmp / "folder"
                shutil.copytree(older, folder)
                wrong = list(check(folder, at, act, kept, reference, lines))
                counts[f"{act}: {steps[at]}"] += 1
                found += [f"{act} at step {at} of {len(steps)} ({steps[at]}): {w}" for w in wrong]
                shutil.rmtree(folder)
            if say: say(f"{act}: {len(found)} faults so far")
    return counts, found


def main():
    p = argparse.ArgumentParser(description="Let something go wrong at each write of a training run.")
    p.add_argument("--sample", type=int, help="try only so many steps (default: all)")
    p.add_argument("--act", choices=ACTS, nargs="+", default=list(ACTS), help="what goes wrong (default: each in turn)")
    a = p.parse_args()
    counts, found = faults(a.act, a.sample, lambda text: print(text, file=sys.stderr, flush=True))
    for what, n in sorted(counts.items()): print(f"{what:24} {n:6,}")
    for f in found: print(f)
    sys.exit(bool(found))


if __name__ == "__main__": main()
