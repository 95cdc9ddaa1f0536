"Model and images on different devices: every public function that takes a network, on a device that is pretended (tests/devices.py)."
import subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python(*args): return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=ROOT, timeout=600)


def test_every_function_moves_what_it_is_given():
    done = python("tests/devices.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-4]) > 100, done.stdout  # functions


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
