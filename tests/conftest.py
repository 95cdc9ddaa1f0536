"Fixtures shared by the tests: the built site, served, and a browser to look at it with."
import json, os, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `tools`
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits an ignored one, and so would its children
if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')  # tests run side by side: a thread each

LONG = bool(os.environ.get('LONG'))  # `LONG=1 pytest`: everything everywhere, where else a part stands for the whole

# the files that take longest come first, so that the processes that share them end together
LONGEST = 'trainer', 'playground', 'pages', 'speed', 'everyone', 'site', 'explore', 'fuzz_api', 'pictures', 'distributed', 'faults', 'package', 'exercises', 'tools', 'cli', 'resume', 'stumbles'


def pytest_configure(config):
    config.addinivalue_line('markers', 'both: run in Firefox too, if the browser is not chosen by `--browser`')
    config.addinivalue_line('markers', 'only_chromium(why): what no other browser can be asked for')
    config.addinivalue_line('markers', "own_theme: asks for our own theme, which a site that Quarto built does not have; it is skipped with such a `--site`")


def by_quarto(site):
    "Whether Quarto built the site, which keeps its own theme and scripts in `site_libs`."
    return site is not None and (site/'site_libs').is_dir()


def pytest_collection_modifyitems(config, items):
    order = {f'test_{name}.py': i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    for item in items:
        if config.getoption('--browser') != 'chromium' and (mark := item.get_closest_marker('only_chromium')): item.add_marker(pytest.mark.skip(reason=f'only in Chromium: {mark.args[0]}'))
        if item.get_closest_marker('own_theme') and by_quarto(config.getoption('--site')): item.add_marker(pytest.mark.skip(reason='asks for our own theme, and Quarto built this site'))


def pytest_generate_tests(metafunc):
    "A test marked `both` looks at its page with both browsers."
    if metafunc.definition.get_closest_marker('both') and metafunc.config.getoption('--browser') == 'chromium':
        metafunc.parametrize('browser', ['chromium', 'firefox'], indirect=True, scope='session')


def pytest_addoption(parser):
    parser.addoption('--browser', choices=['chromium', 'firefox'], default='chromium', help='the browser that looks at the pages (default: chromium, and some tests in Firefox too)')
    parser.addoption('--site', type=Path, help='a built site to test, such as one that Quarto made; without it one is built')


def node():
    "The command; without it a test is skipped, except where CI is set: there it must be."
    if not shutil.which('node'): pytest.fail('no node: install nodejs') if os.environ.get('CI') else pytest.skip('no node: install nodejs')
    return 'node'


@pytest.fixture(scope='session')
def site(tmp_path_factory, request):
    "The folder of the site: the one given by `--site`, else built once by the default renderer that pip provides."
    if given := request.config.getoption('--site'): return given.resolve()
    base = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ: base = base.parent  # one site for all processes: the first that asks builds it
    out = base/'site'
    with FileLock(base/'site.lock'):
        if not out.exists():
            made = base/'site.part'
            done = subprocess.run([sys.executable, 'tools/docs.py', '--renderer', 'smalldocs', '--out', str(made)], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            made.rename(out)
    return out


@pytest.fixture(scope='session')
def address(site):
    "Where the site is served."
    from tools.docs import serve
    with serve(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


class Firefox:
    """Firefox, as far as the tests use a browser. Playwright cannot tell a running one to be dark or calm, to force its colors or to run no scripts:
    these are preferences, so there is one Firefox for each set of them, started when it is first asked for. It grants what Chromium asks for permission."""
    PREFERENCES = {'color_scheme': ('layout.css.prefers-color-scheme.content-override', {'dark': 0, 'light': 1}), 'reduced_motion': ('ui.prefersReducedMotion', {'reduce': 1, 'no-preference': 0}),
                   'forced_colors': ('browser.display.document_color_use', {'active': 2, 'none': 1}), 'java_script_enabled': ('javascript.enabled', {True: True, False: False})}
    DEFAULTS = dict(color_scheme='light', reduced_motion='no-preference', forced_colors='none', java_script_enabled=True)
    def __init__(self, playwright):
        self.playwright, self.running, self.folder = playwright, {}, tempfile.TemporaryDirectory()
        self.downloads = Path(self.folder.name)
    def browser(self, settings):
        "The one with these settings, which are taken out of what is left for a context."
        settings.pop('permissions', None)
        wanted = {pref: values[settings.pop(name, self.DEFAULTS[name])] for name, (pref, values) in self.PREFERENCES.items()}
        key = tuple(wanted.values())
        if key not in self.running: self.running[key] = self.launch(wanted)
        return self.running[key]
    def launch(self, preferences):
        from tools.shots import launch_firefox
        preferences['browser.sessionhistory.max_total_viewers'] = 0  # the way back loads a page anew, as in Chromium: of one that was kept Playwright hears nothing
        return launch_firefox(self.playwright, firefox_user_prefs=preferences, downloads_path=self.downloads) or pytest.skip('no Firefox: install `firefox-esr` or `firefox`')
    def new_context(self, **settings): return self.browser(settings).new_context(**settings)
    def new_page(self, **settings): return self.browser(settings).new_page(**settings)
    def close(self):
        for browser in self.running.values(): browser.close()
        self.folder.cleanup()


def missing(what):
    "Without a browser its tests are skipped, except where CI is set: there it must be."
    pytest.fail(f'no {what}') if os.environ.get('CI') else pytest.skip(f'no {what}')


@pytest.fixture(scope='session')
def browsers():
    "The running browsers by their names, each started when it is first asked for."
    from playwright.sync_api import Error, sync_playwright
    from tools.shots import launch
    class Running(dict):
        def __missing__(self, name):
            try: self[name] = Firefox(pw) if name == 'firefox' else launch(pw)
            except Error as e: missing(f'Chromium: install `chromium` or run `playwright install chromium` ({str(e).splitlines()[0]})')
            return self[name]
    with sync_playwright() as pw:
        yield (running := Running())
        for browser in running.values(): browser.close()


@pytest.fixture(scope='session')
def browser(browsers, request):
    "A running browser: the one chosen by `--browser`, for a test marked `both` each in turn."
    return browsers[getattr(request, 'param', request.config.getoption('--browser'))]


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    "Where a JupyterLab shows the widgets: for each of their notebooks a copy, trusted, of the cells whose outputs hold them."
    folder = tmp_path_factory.mktemp('lab')
    env = {**os.environ, 'JUPYTER_DATA_DIR': str(folder/'.data'), 'JUPYTER_CONFIG_DIR': str(folder/'.config'), 'IPYTHONDIR': str(folder/'.ipython')}
    for name in '01_conv', '35_trainer', '36_playground', 'index':
        nb = json.loads((ROOT/f'nbs/{name}.ipynb').read_text(encoding='utf-8'))
        nb['cells'] = [c for c in nb['cells'] if any(re.search('class="(explore-conv|mnist-cnn-playground|mnist-cnn-trainer)"', ''.join(o.get('data', {}).get('text/html', '')))
                                                     for o in c.get('outputs', []))]
        (folder/f'{name}.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    subprocess.run([sys.executable, '-m', 'jupyter', 'trust', *map(str, folder.glob('*.ipynb'))], env=env, check=True, capture_output=True)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = [f'--port={port}', '--port-retries=0', '--ip=127.0.0.1', '--no-browser', '--allow-root', '--IdentityProvider.token=',
            f'--ServerApp.root_dir={folder}', '--LabApp.news_url=', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    with open(folder/'log', 'w') as log:
        server = subprocess.Popen([sys.executable, '-m', 'jupyter', 'lab', *args], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            for _ in range(120):
                if server.poll() is not None: break
                try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api'); break
                except OSError: time.sleep(.5)
            else: server.kill()
            assert server.poll() is None, (folder/'log').read_text()
            yield f'http://127.0.0.1:{port}'
        finally:
            server.terminate()
            server.wait()


def open_widgets(tab, place, notebook):
    "Open a notebook in JupyterLab and wait until its widgets have started."
    tab.goto(f'{place}/lab/tree/{notebook}.ipynb?reset')  # without what was open before
    tab.locator(':is(.explore-conv, .mnist-cnn-playground, .mnist-cnn-trainer)[data-ready]').first.wait_for(timeout=60_000)
    tab.wait_for_timeout(500)


def enter(field, text):
    "Type a text in the place of what a field holds. (Playwright's `fill` adds to a number in Firefox.)"
    field.press('ControlOrMeta+a')
    field.press_sequentially(text) if text else field.press('Delete')


def downloaded(browser, tab, click):
    "The file that a click downloads. (Of one that the page itself has made Playwright hears nothing in Firefox.)"
    if not isinstance(browser, Firefox):
        with tab.expect_download() as download: click()
        return download.value.path()
    before, end = {*browser.downloads.iterdir()}, time.monotonic() + 10
    click()
    while not (new := {*browser.downloads.iterdir()} - before) or any(f.suffix == '.part' or not f.stat().st_size for f in new):
        assert time.monotonic() < end, new
        tab.wait_for_timeout(50)
    return new.pop()


def wait_until(tab, js, arg=None, seconds=10):
    "Wait until a piece of JavaScript gives something true. (Playwright's own way would evaluate text in the page, which its policy forbids.)"
    end = time.monotonic() + seconds
    while not tab.evaluate(js, arg):
        assert time.monotonic() < end, js
        tab.wait_for_timeout(30)
