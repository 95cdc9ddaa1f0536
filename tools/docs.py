"""Build the website: `python tools/docs.py`, and look at it: `python tools/docs.py --serve`.

Uses Quarto if it is installed, else smalldocs. Ends with status 1, and a line for each fault, if the renderer
warns or if the built site has a broken link, loads anything from another host, or contains math that was not rendered.
"""
import argparse, functools, gzip, http.server, importlib.metadata, io, os, shutil, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = {'.html', '.css', '.js', '.json', '.svg', '.txt', '.md', '.ipynb'}  # what is worth compressing
if not __package__: sys.path[0] = str(ROOT)  # not tools/, whose file names are too common to be importable by themselves

from tools.finish import finish
from tools.links import site_faults
from tools.render import render_quarto, render_smalldocs


def build(out, renderer=None, n_workers=None):
    "Build the site into `out` and return its faults."
    renderer = renderer or ('quarto' if shutil.which('quarto') else 'smalldocs')
    n_workers = min(os.cpu_count(), 4) if n_workers is None else n_workers
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # each worker imports torch; its threads would fight
    print(f'building {shown(out)} with {renderer}', flush=True)
    if not installed(): print("note: names in backticks do not become links until the package is installed: pip install -e '.[dev]'")
    try: warnings = {'quarto': render_quarto, 'smalldocs': render_smalldocs}[renderer](out, n_workers)
    except Exception as e: return [f'{type(e).__name__}: {e}']  # from a notebook whose page nbdev prepared, or the renderer
    if out.is_dir(): finish(out)
    return [f'{renderer}: {w}' for w in warnings] + (site_faults(out) if out.is_dir() else [])


def installed():
    "Whether nbdev will find the index of our names, which it looks for among installed packages."
    return any(e.name == 'mnist_cnn' for e in importlib.metadata.entry_points(group='nbdev'))


def shown(path):
    "A path as a person in the project would write it."
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class Quiet(http.server.SimpleHTTPRequestHandler):
    "A file server that prints no line for each request, sends text compressed, as hosts of websites do, and nothing from outside its folder."
    def log_message(self, *args): pass

    def send_head(self):
        path = Path(self.translate_path(self.path))
        try: inside = path.resolve(strict=True).is_relative_to(Path(self.directory).resolve())  # where a link leads
        except (OSError, RuntimeError, ValueError): inside = False  # no such file, or a name that none can have
        if not inside: return self.send_error(404)
        if path.is_dir() and self.path.endswith('/'): path /= 'index.html'
        if not path.is_file() or path.suffix not in TEXT or 'gzip' not in self.headers.get('Accept-Encoding', ''): return super().send_head()
        data = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        for k, v in {'Content-Type': self.guess_type(path), 'Content-Encoding': 'gzip', 'Content-Length': len(data)}.items(): self.send_header(k, str(v))
        self.end_headers()
        return io.BytesIO(data)


    def send_error(self, code, *more):
        "For an address without a page the site's own page, as hosts of websites do."
        page = Path(self.directory)/'404.html'
        if code != 404 or not page.is_file():
            super().send_error(code, *more)
            return
        data = page.read_bytes()
        self.send_response(404)
        for k, v in {'Content-Type': 'text/html; charset=utf-8', 'Content-Length': len(data)}.items(): self.send_header(k, str(v))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(data)


def serve(folder, port=0):
    "A server of `folder` on 127.0.0.1, ready to `serve_forever`; port 0 takes a free one."
    return http.server.ThreadingHTTPServer(('127.0.0.1', port), functools.partial(Quiet, directory=str(folder)))


def main():
    p = argparse.ArgumentParser(description='Build the website from the notebooks.')
    p.add_argument('--out', type=Path, default=ROOT/'_docs', help='folder to build into (default: _docs)')
    p.add_argument('--renderer', choices=['quarto', 'smalldocs'], help='default: quarto if it is on the PATH, else smalldocs')
    p.add_argument('--serve', action='store_true', help='serve the site on 127.0.0.1 afterwards')
    p.add_argument('--port', type=int, default=8000, help='port to serve on (default: 8000)')
    a = p.parse_args()
    out = a.out.resolve()
    faults = build(out, a.renderer)
    for f in faults: print(f'fault: {f}', file=sys.stderr)
    if a.serve and out.is_dir():
        try: server = serve(out, a.port)
        except OSError as e: sys.exit(f'cannot serve on port {a.port} ({e.strerror}); choose another port (--port 0 takes a free one)')
        print(f'serving {shown(out)} at http://127.0.0.1:{server.server_port}/ (stop with Ctrl-C)', flush=True)
        try: server.serve_forever()
        except KeyboardInterrupt: server.server_close()
    if faults: sys.exit(f'{len(faults)} faults in {shown(out)}')
    print(f'{len(list(out.rglob("*.html")))} pages in {shown(out)}, no faults')


if __name__ == '__main__': main()
