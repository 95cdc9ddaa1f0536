"What a notebook cannot show of the package: its import, its layers, the wheel that people install."
import ast, email, graphlib, os, re, shutil, subprocess, sys, sysconfig, tarfile, venv, zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **kwargs)


def test_import_is_quick_and_loads_no_torch():
    code = "import sys, time; t = time.perf_counter(); import mnist_cnn; t = time.perf_counter() - t; print(t, 'torch' in sys.modules, 'numpy' in sys.modules)"
    runs = [python(code, cwd=ROOT).stdout.split() for _ in range(3)]
    assert min(float(r[0]) for r in runs) < 0.2
    assert runs[0][1:] == ["False", "False"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    "The sdist, and the wheel that is made from it"
    out, source = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source") / "mnist_cnn"
    done = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in filter(None, done.stdout.split("\0")):  # a copy: a build leaves its own folders where it is done
        if not (ROOT / name).exists(): continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    done = subprocess.run([sys.executable, "-m", "build", "--outdir", out, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SetuptoolsDeprecationWarning" not in done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built): return next(built.glob("*.whl"))


def test_twine_accepts_both(built):
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2, done.stdout + done.stderr


PACKAGE = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mnist_cnn").rglob("*") if p.is_file() and "__pycache__" not in p.parts}


def test_wheel_holds_what_it_should(wheel):
    "The package, its licences and its metadata, and nothing else"
    with zipfile.ZipFile(wheel) as z:
        names = {n for n in z.namelist() if not n.endswith("/")}
        info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
        about = {f"{info}/{n}" for n in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE", "licenses/LICENSE-MNIST")}
        assert names == PACKAGE | about | {"mnist_cnn/book.zip"}
        assert z.getinfo("mnist_cnn/book.zip").file_size < 1e6
        assert sum(i.compress_size for i in z.infolist() if not i.filename.startswith("mnist_cnn/mnist/")) < 2.7e6  # beside the digits
        metadata = email.message_from_bytes(z.read(f"{info}/METADATA"))
        assert all(z.read(n) == (ROOT / n).read_bytes() for n in PACKAGE)
    assert metadata["License-Expression"] == "Apache-2.0 AND CC-BY-SA-3.0" and metadata.get_all("License-File") == ["LICENSE", "LICENSE-MNIST"]
    assert metadata["Requires-Python"] == ">=3.11" and metadata["Version"] == version() and "Author" in metadata
    assert {re.split("[>=<]", r)[0] for r in metadata.get_all("Requires-Dist") if "extra" not in r} == {"torch", "torchvision", "numpy", "matplotlib", "pillow", "safetensors", "tqdm", "filelock", "scipy"}


def test_sdist_holds_what_it_should(built):
    "What a wheel is made of, and nothing else; the book's notebooks become its book.zip"
    with tarfile.open(next(built.glob("*.tar.gz"))) as t:
        top = next(built.glob("*.tar.gz")).name.removesuffix(".tar.gz") + "/"
        names = {m.name.removeprefix(top) for m in t.getmembers() if m.isfile()}
        assert all(m.name.startswith(top.rstrip("/")) and (m.isfile() or m.isdir()) for m in t.getmembers())
    made = {n for n in names if n in ("PKG-INFO", "setup.cfg") or n.startswith("mnist_cnn.egg-info/")}
    files = PACKAGE | {"LICENSE", "LICENSE-MNIST", "MANIFEST.in", "README.md", "pyproject.toml", "settings.ini", "setup.py"}
    files |= {p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("nbs/[!_r]*.ipynb"), ROOT / "nbs/matplotlibrc", *ROOT.glob("results/*.json"), ROOT / "tests/strokes.json", ROOT / "tests/hand.py")}
    assert names - made == files and len(made) >= 3


def test_the_wheel_holds_the_book(wheel, tmp_path):
    "All notebooks without outputs and without the cells that make the package, and the results that they read; each is one that JupyterLab opens"
    import io, nbformat
    with zipfile.ZipFile(wheel) as z, zipfile.ZipFile(io.BytesIO(z.read("mnist_cnn/book.zip"))) as book:
        held = {n: book.read(n) for n in book.namelist()}
    assert {n for n in held if n.startswith("nbs/")} == {p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("nbs/[!_r]*.ipynb"), ROOT / "nbs/matplotlibrc")}
    for name in (n for n in held if n.endswith(".ipynb")):
        nbformat.validate(nb := nbformat.reads(held[name].decode(), as_version=4))
        assert not any(c.get("outputs") for c in nb.cells) and "nbdev_export" not in held[name].decode(), name
        for path in re.findall(r'"\.\./([\w/]+\.json)\\?"', held[name].decode()): assert path in held, (name, path)


@pytest.mark.parametrize("mine", [False, True])
def test_book_keeps_what_the_reader_changed(tmp_path, monkeypatch, mine):
    "A newer book replaces what was only copied, never what the reader changed, nor a file that was there before the first copy"
    from mnist_cnn import cli
    books = [{"nbs/a.ipynb": b"1", "nbs/b.ipynb": b"1"}, {"nbs/a.ipynb": b"2", "nbs/b.ipynb": b"2"}]
    if mine:
        (tmp_path / "nbs").mkdir()
        (tmp_path / "nbs/b.ipynb").write_bytes(b"before")
    for book in books:
        monkeypatch.setattr(cli, "_book_files", lambda book=book: book)
        written, kept = cli._copy_book(tmp_path)
        if book is books[0] and not mine: (tmp_path / "nbs/b.ipynb").write_bytes(b"changed")
    assert (written, kept) == (1, ["nbs/b.ipynb"])
    assert (tmp_path / "nbs/a.ipynb").read_bytes() == b"2" and (tmp_path / "nbs/b.ipynb").read_bytes() == (b"before" if mine else b"changed")


def version(): return re.search('"(.*)"', (ROOT / "mnist_cnn/__init__.py").read_text())[1]


def test_versions_agree():
    assert f"\nversion: {version()}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^## \[({re.escape(version())}|Unreleased)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)


ALONE = """
import sys
import mnist_cnn
assert mnist_cnn.__file__.startswith(sys.prefix), mnist_cnn.__file__
from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.model import SimpleCNN
from mnist_cnn.playground import playground
from mnist_cnn.checkpoint import Checkpoint
from mnist_cnn.files import save_weights
from mnist_cnn.training import fit, set_seed
from PIL import Image
set_seed()
x, y = load_tensors()
model = SimpleCNN()
history = fit(model, Batches(x[:3200], y[:3200], shuffle=True), n_epochs=2, device="cpu", callbacks=[Checkpoint("c")])
assert history.train_accuracy[-1] > 0.8 > history.train_accuracy[0], history
save_weights(model, "w.pt")
Image.fromarray(255 - load_tensors(False)[0][0, 0].numpy()).resize((80, 80)).save("seven.png")
assert "<script" in playground()._repr_html_()
"""


def test_wheel_alone_without_a_network(wheel, tmp_path):
    "In an environment of its own, with nothing of the repository: trains, evaluates, predicts, makes the page. Only its requirements come from here"
    env = tmp_path / "env"
    venv.create(env, with_pip=False)
    at = subprocess.check_output([env / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip()
    here = [sysconfig.get_path("purelib"), *(p for p in sys.path if p.endswith("site-packages"))]
    Path(at, "requirements.pth").write_text("\n".join(dict.fromkeys(here)))
    nowhere = {f"{k}_proxy": "http://127.0.0.1:9" for k in ("http", "https", "all")}
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | nowhere | {k.upper(): v for k, v in nowhere.items()}
    subprocess.run([sys.executable, "-m", "pip", "--python", env / "bin/python", "install", "-q", "--no-deps", "--no-index", wheel], check=True, env=variables)
    cut = ["unshare", "-rn"] if shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode else []
    def run(*words):
        done = subprocess.run([*cut, *map(str, words)], cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    run(env / "bin/python", "-c", ALONE)
    command = env / "bin/mnist-cnn"
    assert run(command, "--version") == f"mnist-cnn {version()}\n"
    assert "test accuracy" in run(command, "evaluate", "w.pt")
    assert re.fullmatch(r"seven\.png: \d \(\d+\.\d%\)\n", run(command, "predict", "seven.png", "--weights", "w.pt"))


# The rooms: which module imports which, from the modules themselves

LOW = {"checks", "files", "gpu", "kernels", "pictures", "steps"}  # below the lessons, and knowing nothing of them


def rooms():
    "Of each module, the modules that it imports, also within functions; and the number of its notebook"
    imports, numbers = {}, {}
    for path in sorted((ROOT / "nbs").glob("[0-9]*.ipynb")):
        if made := re.search(r"#\| *default_exp (\w+)", path.read_text(encoding="utf-8")):
            name = made[1]
            tree = ast.parse((ROOT / "mnist_cnn" / f"{name}.py").read_text(encoding="utf-8"))
            found = {n.module.removeprefix("mnist_cnn.") for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and (n.level == 1 or n.module.startswith("mnist_cnn."))}
            found |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module == "mnist_cnn" or n.level == 1 and not n.module) for a in n.names}
            imports[name], numbers[name] = found, int(path.name[:2])
    return {name: found & imports.keys() for name, found in imports.items()}, numbers


def test_imports_run_one_way():
    "No circles: the modules can be put into an order in which each imports only what stands before it"
    imports, _ = rooms()
    assert len(imports) > 20
    order = list(graphlib.TopologicalSorter(imports).static_order())
    assert set(order) == set(imports)


def test_a_lesson_needs_no_workshop():
    "Modules of the lessons import each other and the low rooms; the low rooms import only low rooms"
    imports, numbers = rooms()
    for name, found in imports.items():
        workshop = {m for m in found if numbers[m] >= 30 and m not in LOW}
        if numbers[name] < 20: assert not workshop, (name, workshop)
        if name in LOW: assert found <= LOW, (name, found)


def test_a_module_for_each_notebook_of_its_name():
    "But for the lesson on generalization, which makes the recipes"
    for path in sorted((ROOT / "nbs").glob("[0-9]*.ipynb")):
        made = re.search(r"#\| *default_exp (\w+)", path.read_text(encoding="utf-8"))
        if made: assert made[1] == {"generalization": "recipes"}.get(re.sub(r"^\d+[a-z]*_", "", path.stem), re.sub(r"^\d+[a-z]*_", "", path.stem))
