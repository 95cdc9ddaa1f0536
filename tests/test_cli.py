"The `mnist-cnn` command as a process: interruptions, exit codes, files that cannot be written."
import json, os, re, shutil, signal, subprocess, sys, time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from few import few_digits
from warm import command, start

from mnist_cnn.data import load_tensors

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    "800 training and 200 test digits in the IDX format"
    return few_digits(tmp_path_factory.mktemp("few"), 800, 200)


def test_installed_command_is_this_module():
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(["mnist-cnn", "--version"], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0 and done.stdout.startswith("mnist-cnn ")


def test_help_answers_in_under_a_second():
    def seconds():
        start = time.perf_counter()
        assert subprocess.run([sys.executable, "-m", "mnist_cnn.cli", "--help"], capture_output=True).returncode == 0
        return time.perf_counter() - start
    assert min(seconds() for _ in range(3)) < 1


def test_train_is_reproducible_and_makes_folders(root, tmp_path):
    "Two runs with the same seed give the same weights, in a folder whose name has spaces and other letters"
    outs = [tmp_path / "a folder" / "pesé ½" / f"{i}.pt" for i in range(2)]
    for out in outs:
        done = command("train", "--root", root, "--n-epochs", 1, "--device", "cpu", "--out", out, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
        assert out.with_suffix(".png").exists()
        assert done.stderr == ""  # no progress bar where nobody watches
    a, b = [torch.load(out, weights_only=True) for out in outs]
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_progress_bar_in_a_terminal(root, tmp_path):
    "A person at a terminal sees a bar"
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    main, other = pty.openpty()
    termios.tcsetwinsize(other, (24, 100))
    process = start("train", "--root", root, "--n-epochs", 4, "--out", tmp_path / "w.pt", stdout=other, stderr=other)
    os.close(other)
    seen = b""
    while True:
        try: part = os.read(main, 4096)
        except OSError: break
        if not part: break
        seen += part
    os.close(main)
    assert process.wait() == 0
    assert b"epoch 2/4" in seen and b"batch" in seen and b"%|" in seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt(number, root, tmp_path):
    "Ctrl-C, a queue or a closed terminal: one line, code 130, 143 or 129, a checkpoint, and an older file of weights stays as it was"
    out = tmp_path / "CNN.pt"
    out.write_bytes(b"older weights")
    process = start("train", "--root", root, "--n-epochs", 10000, "--out", out)
    assert "SimpleCNN" in process.stdout.readline()
    assert "before" in process.stdout.readline()
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert len(complaint.splitlines()) == 1 and complaint.startswith("mnist-cnn: error: interrupted; ")
    assert out.read_bytes() == b"older weights" and sorted(p.name for p in tmp_path.iterdir()) == ["CNN.checkpoint", "CNN.pt"]


def test_interrupt_before_the_first_epoch(root, tmp_path):
    "Ctrl-C while the untrained network is measured, or before: nothing has been learned, so nothing is kept"
    process = start("train", "--root", root, "--out", tmp_path / "CNN.pt", before="""
import signal
from mnist_cnn import evaluation
def accuracy(*args): signal.raise_signal(signal.SIGINT)
evaluation.accuracy = accuracy
""")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and complaint == "mnist-cnn: error: interrupted; nothing was saved.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("args, code, says", [
    ([], 2, "required"),
    (["trian"], 2, "invalid choice"),
    (["train", "--n-epochs", "-1"], 2, "whole number"),
    (["train", "--lr", "0"], 2, "positive"),
    (["train", "--lr", "nan"], 2, "positive"),
    (["train", "--bs", "1.5"], 2, "whole number"),
    (["train", "--device", "cuda:99"], 2, "not a device"),
    (["predict"], 2, "required"),
    (["train", "--root", "/nowhere"], 1, "/nowhere"),
    (["train", "--out", "/proc/CNN.pt"], 1, "/proc"),
    (["train", "--out", "plot.png"], 1, "name of the plot"),
    (["train", "--out", "CNN.checkpoint"], 1, "name of the checkpoint"),
    (["evaluate", "nothing.pt"], 1, "no such file"),
    (["train", "--recipe", "worst"], 2, "invalid choice"),
    (["study"], 2, "required"),
    (["export", "net.txt"], 1, "expected .onnx or .pt2"),
    (["predict", "digit.png", "--weights", "nothing.pt"], 1, "no such file"),
])
def test_wrong_use_gives_one_clear_line(args, code, says, tmp_path):
    done = command(*args, cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\3\4" + bytes(100), None], ids=["empty", "text", "half a zip", "pickle"])
def test_files_that_are_no_weights(content, tmp_path):
    "Each is refused, and a pickle that would run code does not run it"
    path = tmp_path / "w.pt"
    if content is None:
        class Evil:
            def __reduce__(self): return os.mkdir, (str(tmp_path / "ran"),)
        torch.save(Evil(), path)
    else: path.write_bytes(content)
    done = command("evaluate", path)
    assert done.returncode == 1 and str(path) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()


def test_study_goes_on_where_it_stopped(root, tmp_path):
    "Runs that are in the file are not made again; results on the other set, or of another recipe, are not mixed with them"
    file, saved = tmp_path / "study.json", tmp_path / "runs"
    args = ["study", "1k", "--validate", "--root", root, "--device", "cpu", "--json", file, "--seeds"]
    done = command(*args, 0)
    assert done.returncode == 0 and done.stdout.startswith("1k, seed 0: validation accuracy "), done.stderr
    first = json.loads(file.read_text())["recipes"]["1k"]
    done = command(*args, 0, 1, "--save", saved)
    assert done.returncode == 0 and "seed 0" not in done.stdout and "seed 1" in done.stdout
    found = json.loads(file.read_text())["recipes"]["1k"]
    assert found["runs"][0] == first["runs"][0] and [r["seed"] for r in found["runs"]] == [0, 1]
    assert found["n"] == 2 and found["runs"][0]["n"] == 134 and found["parameters"] == 1338
    a = [r["accuracy"] for r in found["runs"]]
    assert found["mean"] == pytest.approx(np.mean(a)) and found["sd"] == pytest.approx(np.std(a, ddof=1))
    assert [p.name for p in saved.iterdir()] == ["1k-1.pt"]
    done = command("evaluate", saved / "1k-1.pt", "--root", root)
    assert done.returncode == 0, done.stderr

    done = command(*[a for a in args if a != "--validate"], 2)
    assert done.returncode == 1 and "not on the test set" in done.stderr
    text = file.read_text()
    file.write_text(text.replace('"n_epochs": 6', '"n_epochs": 7'))
    done = command(*args, 2)
    assert done.returncode == 1 and "different recipe" in done.stderr


def test_bench_on_a_gpu_measures_other_things(monkeypatch, tmp_path):
    "Asked for with a GPU's device, which is played here; what is measured there, tools/gpu.py tries"
    from mnist_cnn import cli, speed
    stored, asked = json.loads((ROOT / "results/bench.json").read_text()), []
    monkeypatch.setattr(speed, "bench_on", lambda device, n, rounds, say: asked.append((device.type, n, rounds)) or stored)
    cli.bench(SimpleNamespace(device=torch.device("cuda"), n=1000, rounds=2, out=tmp_path / "gpu.json"))
    assert asked == [("cuda", 1000, 2)] and json.loads((tmp_path / "gpu.json").read_text()) == stored and "To 99%" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_export(suffix, tmp_path):
    "A file that runs without this package, on batches of any size, and says what the network says"
    from mnist_cnn.model import SimpleCNN
    file = tmp_path / f"digits{suffix}"
    done = command("export", file, "--network", "SimpleCNN")
    assert done.returncode == 0 and "logits differ by at most" in done.stdout, done.stderr
    x = load_tensors(train=False)[0][:9].float() / 255
    with torch.no_grad(): expected = SimpleCNN.pretrained()(x)
    if suffix == ".onnx":
        session = pytest.importorskip("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])
        def answer(x): return torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])
    else: answer = torch.export.load(file).module()
    for n in (1, 4, 9): torch.testing.assert_close(answer(x[:n]), expected[:n], atol=1e-4, rtol=0)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_what_the_package_brings():
    "Without a word of training"
    done = command("evaluate")
    assert done.returncode == 0, done.stderr
    accuracies = [float(a) for a in re.findall(r"test accuracy ([\d.]+)%", done.stdout)]
    assert len(accuracies) == 2 and min(accuracies) > 99.4


def test_spoilt_weights_are_refused(tmp_path):
    "A file of which one bit has changed"
    from mnist_cnn import model
    for name in ("SHA256SUMS", "SimpleCNN.safetensors"): shutil.copy(model.files("mnist_cnn") / "weights" / name, tmp_path)
    model._with_weights(model.SimpleCNN(), "SimpleCNN", tmp_path)
    held = bytearray((tmp_path / "SimpleCNN.safetensors").read_bytes())
    held[-1] ^= 1
    (tmp_path / "SimpleCNN.safetensors").write_bytes(held)
    with pytest.raises(ValueError, match="truncated or has been changed"): model._with_weights(model.SimpleCNN(), "SimpleCNN", tmp_path)
