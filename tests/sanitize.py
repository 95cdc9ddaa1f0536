"""The C kernels under the address and undefined-behaviour sanitizers, for random networks: `python tests/sanitize.py --n 200`.

Each network is compiled into a program that trains it a little, for random batch sizes and from tensors that end where they end, so that any
access outside of them stops it. Ends with status 1 if one was found, 77 where no sanitizer can be had.
"""
import argparse, os, random, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

MAIN = r"""
#include <stdio.h>
int main(void) {
    int at = 0;
    for (int l = 0; l < N_CONVS; l++) at += n_weights(l) + convs[l].co;
    for (int l = 0; l < N_LINEARS; l++) at += sizes[l] * sizes[l + 1] + sizes[l + 1];
    const size_t pixels = (size_t)convs[0].h * convs[0].w;
    net *t = net_new(1, MAX_BS);
    if (!t) return 3;
    float *w = malloc(4 * at), *grad = malloc(4 * at), *mean = calloc(at, 4), *square = calloc(at, 4);
    for (int i = 0; i < at; i++) w[i] = (float)(i % 1000 * 7919 % 1000 - 500) / 5000;
    for (int n = 1; n <= MAX_BS; n += 1 + MAX_BS / 3) {
        float *x = malloc(4 * pixels * n), *out = malloc(4 * (size_t)n * sizes[N_LINEARS]);
        int64_t *y = malloc(8 * n);
        for (size_t i = 0; i < pixels * n; i++) x[i] = (float)(i * 31 % 256) / 255;
        for (int i = 0; i < n; i++) y[i] = i % sizes[N_LINEARS];
        double loss = net_gradient(t, w, x, y, n, 0.1f, grad);
        if (!(loss >= 0 && loss < 1e6)) return 4;
        net_adam(t, w, grad, mean, square, at, 1e-3, 0.9, 0.999, 1e-8, 1);
        net_logits(t, w, x, n, out);
        y[0] = sizes[N_LINEARS];
        if (net_gradient(t, w, x, y, n, 0, grad) != -1) return 5;
        free(x), free(out), free(y);
    }
    free(w), free(grad), free(mean), free(square);
    return net_new(1, 0) != 0 || net_new(0, 1) != 0;
}
"""


def network(draw):
    "Sizes of a random network"
    convs, c, h, w = [], 1, draw.randint(5, 40), draw.randint(5, 40)
    for _ in range(draw.randint(1, 3)):
        k, p, co = draw.randint(1, 5), draw.randint(0, 2), 8 * draw.randint(1, 4)
        h2, w2 = (h + 2*p - k + 1) // 2, (w + 2*p - k + 1) // 2
        if min(h2, w2) < 1: break
        convs.append((c, co, k, p, h, w))
        c, h, w = co, h2, w2
    if not convs: return network(draw)
    return convs, [c * h * w, *(8 * draw.randint(1, 6) for _ in range(draw.randint(0, 2))), draw.randint(2, 12)]


def main():
    from mnist_cnn.kernels import _define
    p = argparse.ArgumentParser(description="Run the C kernels under sanitizers, for random networks.")
    p.add_argument("--n", type=int, default=40, help="networks (default: 40)")
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    draw = random.Random(a.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "main.c").write_text((ROOT / "mnist_cnn/native/kernels.c").read_text() + MAIN)
        def build(convs, sizes, bs):
            return subprocess.run([os.environ.get("CC", "cc"), "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DMAX_BS=" + str(bs),
                                   *_define(convs, sizes), str(folder / "main.c"), "-o", str(folder / "main"), "-lm"], capture_output=True, text=True)
        done = build([(1, 8, 3, 1, 8, 8)], [128, 10], 4)
        if done.returncode:
            print(f"no compiler with sanitizers here: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}")
            sys.exit(77)
        for i in range(a.n):
            convs, sizes = network(draw)
            bs = draw.randint(1, 40)
            done = build(convs, sizes, bs)
            if done.returncode: sys.exit(f"{convs} {sizes}: {done.stderr}")
            done = subprocess.run([folder / "main"], capture_output=True, text=True, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"})
            if done.returncode: sys.exit(f"network {i}, {convs} {sizes}, batches of up to {bs}: status {done.returncode}\n{done.stderr}")
    print(f"{a.n} networks, no fault")


if __name__ == "__main__": main()
