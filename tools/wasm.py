"""Compile the kernels for web pages: `python tools/wasm.py` writes mnist_cnn/native/*.wasm; with `--check` it compares, and writes nothing.

Needs clang and wasm-ld (Debian: `apt install clang lld`). Another version of the compiler may order instructions differently. Then the
bytes differ, and `tests/test_trainer.py` compares what the two files compute.
"""
import argparse, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)
NATIVE = ROOT/'mnist_cnn/native'
MOST = 32_000  # bytes of a file
FLAGS = ['--target=wasm32', '-O3', '-msimd128', '-mbulk-memory', '-DFLOATS=4', '-fno-math-errno', '-fno-trapping-math', '-nostdinc', '-nostdlib',
         '-Wl,--no-entry', '-Wl,--strip-all', '-Wl,--allow-undefined', '-Wl,-z,stack-size=65536', '-Wno-unknown-pragmas']
HEADERS = {  # what there is of C's library; the functions come from JavaScript, from page.c or from instructions
    'math.h': 'float expf(float); float logf(float); double pow(double, double);\n'
              '#define sqrt __builtin_sqrt\n#define sqrtf __builtin_sqrtf\n',
    'stdint.h': 'typedef unsigned char uint8_t; typedef int int32_t; typedef unsigned uint32_t; typedef long long int64_t;\n'
                'typedef unsigned long uintptr_t;\n#define SIZE_MAX 0xffffffffUL\n#define INT32_MAX 2147483647\n',
    'stdlib.h': 'typedef __SIZE_TYPE__ size_t;\nvoid *calloc(size_t, size_t);\n',
    'string.h': '#include <stdlib.h>\nvoid *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n'}
NETWORKS = {'SimpleCNN': 'SimpleCNN'}  # file: the network's class in mnist_cnn.model


def defines(name):
    "What the compiler is told of a network's sizes."
    from mnist_cnn import kernels, model
    return kernels._define(*kernels.plan(getattr(model, name)()))


def compiled(name):
    "The bytes of the network's file."
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for header, text in HEADERS.items(): (tmp/header).write_text(text, encoding='utf-8')
        command = ['clang', *FLAGS, f'-I{tmp}', *defines(name), 'page.c', '-o', str(tmp/'out.wasm')]
        done = subprocess.run(command, cwd=NATIVE, capture_output=True, text=True)
        if done.returncode: sys.exit(f'clang fails:\n{done.stderr}')
        return (tmp/'out.wasm').read_bytes()


def main():
    p = argparse.ArgumentParser(description='Compile the kernels for web pages.')
    p.add_argument('--check', action='store_true', help='only compare with the files that are there')
    check = p.parse_args().check
    if not (shutil.which('clang') and shutil.which('wasm-ld')): sys.exit('clang and wasm-ld are needed: apt install clang lld')
    for file, name in NETWORKS.items():
        data, path = compiled(name), NATIVE/f'{file}.wasm'
        if len(data) > MOST: sys.exit(f'{path.name} has {len(data):,} bytes; at most {MOST:,}')
        if not check: path.write_bytes(data)
        elif not path.exists() or path.read_bytes() != data: sys.exit(f'{path.name} does not follow from page.c and kernels.c; fix it with: python tools/wasm.py')
        print(f'{path.relative_to(ROOT)}: {len(data):,} bytes')


if __name__ == '__main__': main()
