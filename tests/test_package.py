"What a notebook cannot show of the package: its import, its layers, the wheel that people install."
import ast, os, re, subprocess, sys, zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [["conv"], ["model"], ["data", "kernels"], ["training"], ["evaluation"], ["interpretation", "speed", "distributed", "playground"], ["cli"]]
RANK = {name: i for i, names in enumerate(LAYERS) for name in names}


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **kwargs)


def test_import_is_quick_and_loads_no_torch():
    code = "import sys, time; t = time.perf_counter(); import mnist_cnn; t = time.perf_counter() - t; print(t, 'torch' in sys.modules, 'numpy' in sys.modules)"
    runs = [python(code, cwd=ROOT).stdout.split() for _ in range(3)]
    assert min(float(r[0]) for r in runs) < 0.2
    assert runs[0][1:] == ["False", "False"]


@pytest.mark.parametrize("path", sorted(p for p in (ROOT / "mnist_cnn").glob("*.py") if not p.stem.startswith("_")), ids=lambda p: p.stem)
def test_imports_run_one_way(path):
    "A module imports, even inside a function, only what stands below it: conv ← model ← data ← training ← …"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            name = ("mnist_cnn." if node.level else "") + (node.module or "")
            if name.startswith("mnist_cnn."): assert RANK[name.split(".")[1]] < RANK[path.stem], f"{path.stem} imports {name}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_wheel_holds_what_it_should(wheel):
    assert wheel.stat().st_size < 13e6
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"mnist_cnn/{m}.py" for m in ("conv", "model", "data", "training", "evaluation", "cli", "kernels")} <= set(names)
    assert sum(n.startswith("mnist_cnn/mnist/") and n.endswith(".gz") for n in names) == 4
    assert "mnist_cnn/native/kernels.c" in names
    assert "mnist_cnn/mnist/SOURCE.md" in names and any(n.endswith("/LICENSE") for n in names)
    strange = [n for n in names if not re.match(r"mnist_cnn(/(\w+\.py|py\.typed|(mnist|native|static|weights)/[\w.-]+)|-[\w.]+\.dist-info/.*)$", n)]
    assert not strange


def test_wheel_elsewhere_imports_finds_its_data_and_trains(wheel, tmp_path):
    "Installed in a folder of its own, far from the repository; only its requirements come from this environment"
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel], check=True)
    code = """
import mnist_cnn; print(mnist_cnn.__file__)
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.model import SimpleCNN
from mnist_cnn.training import fit, set_seed
set_seed()
x, y = load_tensors()
history = fit(SimpleCNN(), Batches(x[:1600], y[:1600], shuffle=True), n_epochs=2, device="cpu")
assert history.train_accuracy[-1] > 0.7 > history.train_accuracy[0], history
"""
    done = python(code, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
