"Model and images on different devices: every public function that takes a network, on a device that is pretended (tests/devices.py)."
import subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python(*args): return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=ROOT, timeout=600)


def test_every_function_moves_what_it_is_given():
    done = python("tests/devices.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-4]) >= 80, done.stdout  # functions that are given something to move


def test_the_pretended_device_refuses_two_places():
    "Or the sweep could not fail: a plain network, and a function that forgets to move"
    done = python("-c", """
import sys; sys.path.insert(0, "tests")
import devices, mnist_cnn.interpretation as interpretation
from devices import NAME, Pretending, calls, faults, pretend
pretend()
interpretation.beside = lambda model, x: x
with Pretending(): found = faults("interpretation.saliency", calls()["interpretation.saliency"], NAME)
print(len(found), all("move it to the weights" in f for f in found))
""")
    assert done.stdout.split() == ["2", "True"], done.stdout + done.stderr


MOVES = """
import sys, tempfile, warnings; sys.path.insert(0, "tests")
warnings.simplefilter("ignore")
import torch
from devices import NAME, Pretending, pretend
pretend()
from mnist_cnn.checkpoint import Checkpoint
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.model import SimpleCNN
from mnist_cnn.recipes import Average
from mnist_cnn.training import Measure, fit
x, y = [t[:64] for t in load_tensors()]
def run(device, n_epochs, path=None, resume=False):
    torch.manual_seed(0)
    model = SimpleCNN()
    kept = [Checkpoint(path, resume=resume)] if path else []
    fit(model, Batches(x, y, 16, shuffle=True), n_epochs=n_epochs, device=device, callbacks=[Measure(None), Average(0.9), *kept])
    return torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
with Pretending(), tempfile.TemporaryDirectory() as folder:
    whole = run("cpu", 2)
    for first, then in ("cpu", NAME), (NAME, "cpu"):
        path = f"{folder}/{first}.checkpoint"
        run(first, 1, path)
        print(torch.allclose(run(then, 2, path, resume=True), whole, atol=1e-5))
"""


def test_a_checkpoint_moves_between_devices():
    "Saved on one and resumed on the other, with the optimizer's state and an average: the weights of a run that stayed where it was"
    done = python("-c", MOVES)
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr
