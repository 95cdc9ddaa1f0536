"What no notebook can show of the kernels: a machine without a compiler, one that fails, and folders that cannot be written to; and that the speed run computes the same with them."
import hashlib, os, subprocess, sys
from pathlib import Path

import pytest
import torch
from warm import program

from mnist_cnn.data import load_tensors
from mnist_cnn.speed import SpeedRecipe, compare
from mnist_cnn.training import evaluate, set_seed

ROOT = Path(__file__).resolve().parents[1]
QUICK = """sh -c 'exec cc "$@" -O0' cc"""  # what these tests ask about does not hang on how fast the kernels are

ASK = """
import torch
from mnist_cnn.kernels import Unfit, fused
from mnist_cnn.model import SimpleCNN
try: print('made', fused(SimpleCNN()).n_weights)
except Unfit as e: print(e)
"""


def ask(cwd=None, **env):
    done = program(ASK, env={**os.environ, "CC": QUICK, **env}, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def compiler():
    if "made" not in ask(): pytest.skip("no C compiler here")


def test_switched_off():
    assert ask(MNIST_CNN_KERNELS="0") == "MNIST_CNN_KERNELS=0 is set"


def test_without_a_compiler(tmp_path):
    assert ask(PATH=str(tmp_path), CC="", XDG_CACHE_HOME=str(tmp_path)) == "no C compiler (cc, gcc or clang) is there"


def test_with_a_compiler_that_fails(tmp_path):
    said = ask(CC="false", XDG_CACHE_HOME=str(tmp_path))
    assert said == "the C compiler fails: exit code 1"
    assert "does not run" in ask(CC="no-such-compiler", XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.rglob("*.so"))


def test_wrong_code_is_never_taken(tmp_path):
    "A compiler that gets the arithmetic wrong: the gradients are compared with PyTorch's before the result is kept"
    wrong = tmp_path / "cc"
    wrong.write_text('#!/bin/sh\nexec "$REAL" -Dexpf=sinf "$@"\n')
    wrong.chmod(0o755)
    real = next(p for p in ("/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang") if Path(p).exists())
    said = ask(CC=str(wrong), REAL=real, XDG_CACHE_HOME=str(tmp_path))
    assert said == "the compiled kernels do not give PyTorch's gradients"
    assert not list(tmp_path.rglob("*.so"))


def test_kept_in_the_cache_and_found_there(tmp_path):
    "With the machine's own compiler, and its own flags"
    own = dict(XDG_CACHE_HOME=str(tmp_path), CC=os.environ.get("CC", ""))
    assert ask(**own) == "made 55338"
    files = list(tmp_path.rglob("*.so"))
    assert len(files) == 1
    before = files[0].stat().st_mtime_ns
    assert ask(**own) == "made 55338"
    assert files[0].stat().st_mtime_ns == before


def test_a_spoilt_cache_is_made_anew(tmp_path):
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"
    file, = tmp_path.rglob("*.so")
    file.write_bytes(file.read_bytes()[:1000])
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"


def test_without_a_folder_to_write_to(tmp_path):
    "The kernels are then kept for the life of the process"
    file = tmp_path / "file"
    file.write_text("")
    assert ask(XDG_CACHE_HOME=str(file)) == "made 55338"
    assert ask(XDG_CACHE_HOME="", HOME=str(file)) == "made 55338"


TWO = """
import torch
from torch import nn
from mnist_cnn.kernels import flat_weights, fused
from mnist_cnn.model import SimpleCNN
other = nn.Sequential(nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(1152, 10))
x = torch.rand(9, 1, 28, 28)
for model in (SimpleCNN(), other, SimpleCNN()):
    with torch.no_grad(): print((fused(model).logits(flat_weights(model.parameters()), x) - model(x)).abs().max().item() < 1e-4)
"""


def test_two_networks_from_the_cache(tmp_path):
    "Each has its own library, when they are compiled and when they are found"
    for _ in range(2):
        done = program(TWO, env={**os.environ, "CC": QUICK, "XDG_CACHE_HOME": str(tmp_path)})
        assert done.stdout.split() == ["True"] * 3, done.stdout + done.stderr


# What others may have put into the cache is not run

PLANTED = """
#include <stdlib.h>
#include <stdio.h>
__attribute__((constructor)) static void run(void) { FILE *f = fopen(getenv("RAN"), "w"); if (f) fclose(f); }
void *net_new(int a, int b) { return 0; } void net_logits(void) {} double net_gradient(void) { return 0; } void net_adam(void) {}
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    "A library that leaves a file when it is loaded, and the name under which ours is kept"
    folder = tmp_path_factory.mktemp("planted")
    (folder / "evil.c").write_text(PLANTED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "evil.so", folder / "evil.c"], check=True)
    own = folder / "own"
    assert ask(XDG_CACHE_HOME=str(own)) == "made 55338"
    return (folder / "evil.so").read_bytes(), next(own.rglob("*.so")).name


def plant(folder, planted, mode=0o600):
    "Put the library and its checksum where ours would be"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in ((planted[1], planted[0]), (planted[1].replace(".so", ".sha256"), hashlib.sha256(planted[0]).hexdigest().encode())):
        (folder / name).write_bytes(data)
        (folder / name).chmod(mode)


def ran(tmp_path, **env):
    "Was the planted library loaded? The kernels are made all the same"
    assert ask(RAN=str(tmp_path / "ran"), **env) == "made 55338"
    return (tmp_path / "ran").exists()


def test_the_planted_library_would_run(planted, tmp_path):
    "In a folder that only we can write to it is loaded, so that the tests below are tests"
    plant(tmp_path / "mnist_cnn", planted)
    (tmp_path / "mnist_cnn").chmod(0o700)
    assert "made" in ask(RAN=str(tmp_path / "ran"), XDG_CACHE_HOME=str(tmp_path)) or (tmp_path / "ran").exists()
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
def test_a_cache_that_others_can_write_to(planted, mode, tmp_path):
    plant(tmp_path / "mnist_cnn", planted)
    (tmp_path / "mnist_cnn").chmod(mode)
    assert not ran(tmp_path, XDG_CACHE_HOME=str(tmp_path))


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_library_that_others_can_write_to(planted, mode, tmp_path):
    plant(tmp_path / "mnist_cnn", planted, mode)
    (tmp_path / "mnist_cnn").chmod(0o700)
    assert not ran(tmp_path, XDG_CACHE_HOME=str(tmp_path))


def test_a_cache_behind_a_link(planted, tmp_path):
    "~/.cache/mnist_cnn leads to a folder where anyone may write"
    shared, home = tmp_path / "shared", tmp_path / "home"
    plant(shared, planted)
    shared.chmod(0o777)
    (home / ".cache").mkdir(parents=True)
    (home / ".cache" / "mnist_cnn").symlink_to(shared)
    assert not ran(tmp_path, XDG_CACHE_HOME="", HOME=str(home))


def test_a_library_that_is_a_link(planted, tmp_path):
    plant(tmp_path / "elsewhere", planted)
    folder = tmp_path / "mnist_cnn"
    folder.mkdir(mode=0o700)
    for f in (tmp_path / "elsewhere").iterdir(): (folder / f.name).symlink_to(f)
    (folder / planted[1].replace(".so", ".sha256")).unlink()
    (folder / planted[1].replace(".so", ".sha256")).write_text(hashlib.sha256(planted[0]).hexdigest())
    assert not ran(tmp_path, XDG_CACHE_HOME=str(tmp_path))


def test_a_parent_that_others_can_write_to(planted, tmp_path):
    "They could replace what is below it"
    open_folder = tmp_path / "open"
    plant(open_folder / "cache" / "mnist_cnn", planted)
    (open_folder / "cache" / "mnist_cnn").chmod(0o700)
    open_folder.chmod(0o777)
    assert not ran(tmp_path, XDG_CACHE_HOME=str(open_folder / "cache"))


def test_a_relative_cache_folder_is_ignored(planted, tmp_path):
    "As the specification of XDG_CACHE_HOME says"
    plant(tmp_path / "here" / "mnist_cnn", planted)
    (tmp_path / "here" / "mnist_cnn").chmod(0o700)
    assert "made 55338" in ask(cwd=tmp_path, XDG_CACHE_HOME="here", HOME=str(tmp_path), RAN=str(tmp_path / "ran")) and not (tmp_path / "ran").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("where", ["home", "cache"])
def test_the_cache_of_another_user(planted, where, tmp_path):
    "Root, in the home of a user who has planted a library there"
    home = tmp_path / "home"
    folder = home / ".cache" / "mnist_cnn"
    plant(folder, planted)
    folder.chmod(0o700)
    owned = [home, home / ".cache", folder, *folder.iterdir()] if where == "home" else [folder, *folder.iterdir()]
    for f in owned: os.chown(f, 12345, 12345)
    assert not ran(tmp_path, XDG_CACHE_HOME="", HOME=str(home))


def test_a_new_cache_is_for_its_owner_alone(tmp_path):
    old = os.umask(0)
    try: assert ask(XDG_CACHE_HOME=str(tmp_path / "new")) == "made 55338"
    finally: os.umask(old)
    for f in (tmp_path / "new").rglob("*"): assert not f.stat().st_mode & 0o022, f


# What fails is remembered, and PyTorch's operations are taken



def test_a_compiler_that_fails_runs_once(tmp_path):
    counting = tmp_path / "cc"
    counting.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\nexit 1\n")
    counting.chmod(0o755)
    code = """
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.model import SimpleCNN
from mnist_cnn.training import fit
x, y = load_tensors()
print(fit(SimpleCNN(), Batches(x[:5100], y[:5100], bs=512), n_epochs=2, device="cpu").made_with["step"])
"""
    done = program(code, env={**os.environ, "CC": str(counting), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.stdout == "eager\n", done.stderr
    assert (tmp_path / "runs").read_text().count("run") == 1


@pytest.mark.parametrize("cc", ["'unclosed", "sh -c 'printf \"\\\\344 error\" >&2; exit 1'"])
def test_a_compiler_that_says_odd_things(cc, tmp_path):
    "A command that cannot be split; a complaint in latin-1"
    said = ask(CC=cc, XDG_CACHE_HOME=str(tmp_path))
    assert "made" not in said and "Traceback" not in said


@pytest.mark.parametrize("damage", ["checksum is bytes", "folder", "truncated, with a fitting checksum", "empty"])
def test_a_damaged_cache_is_made_again(damage, planted, tmp_path):
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"
    library = tmp_path / "mnist_cnn" / planted[1]
    checksum = library.with_suffix(".sha256")
    if damage == "checksum is bytes": checksum.write_bytes(b"\xff\xfe\x00" * 9)
    elif damage == "empty": library.write_bytes(b"")
    elif damage == "folder":
        library.unlink()
        library.mkdir()
    else:
        library.write_bytes(library.read_bytes()[:5000])
        checksum.write_text(hashlib.sha256(library.read_bytes()).hexdigest())
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"


def test_sanitizers(tmp_path):
    "The short form of tests/sanitize.py: no access outside of memory, no undefined behaviour"
    done = subprocess.run([sys.executable, str(ROOT / "tests/sanitize.py"), "--n", "4"], capture_output=True, text=True)
    if done.returncode == 77: pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


# The speed run

def test_smaller_images():
    "`evaluate` takes the cropped images of the speed run, and agrees with PyTorch"
    x, y = load_tensors()
    net, inside = SpeedRecipe().network(), SpeedRecipe().batches(x[:6000], y[:6000], bs=1000)
    with torch.no_grad(): agree = sum((net(xb).argmax(1) == yb).sum().item() for xb, yb in inside)
    assert abs(evaluate(net, inside).accuracy - agree / 6000) < 1e-3


def test_the_speed_run_without_kernels_is_the_same(monkeypatch):
    "After ten steps by the kernels and by PyTorch's operations, the logits agree"
    x, y = load_tensors()
    recipe, found = SpeedRecipe(), {}
    for own, way in ("1", "kernels"), ("0", "eager"):
        monkeypatch.setenv("MNIST_CNN_KERNELS", own)
        set_seed()
        net = recipe.network()
        assert recipe.fit(net, recipe.batches(x[:6400], y[:6400], shuffle=True), n_steps=10).made_with["step"] == way
        with torch.no_grad(): found[way] = net(next(iter(recipe.batches(x[:50], y[:50])))[0])
    assert 0 < (found["kernels"] - found["eager"]).abs().max() < 1e-3


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="0 programs"): compare({})
