"What no notebook can show of the kernels: a machine without a compiler, one that fails, and folders that cannot be written to."
import os, subprocess, sys
from pathlib import Path

import pytest

ASK = """
import torch
from mnist_cnn.kernels import Unfit, fused
from mnist_cnn.model import SimpleCNN
try: print('made', fused(SimpleCNN()).n_weights)
except Unfit as e: print(e)
"""


def ask(**env):
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env={**os.environ, **env})
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
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"
    files = list(tmp_path.rglob("*.so"))
    assert len(files) == 1
    before = files[0].stat().st_mtime_ns
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "made 55338"
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
