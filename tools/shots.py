"""Take screenshots of every page of the built site, wide and narrow, light and dark: `python tools/shots.py OUT`."""
import argparse, itertools, shutil, sys, threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

from tools.docs import serve

WIDTHS = {'wide': 1280, 'narrow': 390}
# no background traffic, no sandbox (there is none in a container)
ARGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
        '--no-first-run']


def launch(playwright, *more):
    "The system's Chromium, else Playwright's own, with more arguments."
    found = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    return playwright.chromium.launch(executable_path=found, args=[*ARGS, *more])


def launch_firefox(playwright, **more):
    "The system's Firefox, over WebDriver BiDi, with more arguments; None where there is no Firefox."
    found = next(filter(None, map(shutil.which, ('firefox-esr', 'firefox'))), None)
    return found and playwright.firefox.launch(channel='moz-firefox', executable_path=found, **more)


def main():
    from playwright.sync_api import sync_playwright
    p = argparse.ArgumentParser(description='Take screenshots of every page of the built site.')
    p.add_argument('out', type=Path, help='folder for the screenshots')
    p.add_argument('--site', type=Path, default=ROOT/'_docs', help='the built site (default: _docs)')
    p.add_argument('--page', help='only this page, such as conv')
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    pages = sorted(f.stem for f in a.site.glob(f'{a.page or "*"}.html'))
    if not pages: sys.exit(f'no page in {a.site}; build the site first: python tools/docs.py')
    with serve(a.site) as server, sync_playwright() as pw:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = launch(pw)
        for (size, width), scheme in itertools.product(WIDTHS.items(), ['light', 'dark']):
            tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
            for page in pages:
                tab.goto(f'http://127.0.0.1:{server.server_port}/{page}.html', wait_until='networkidle')
                tab.evaluate('document.querySelectorAll("img").forEach(i => i.loading = "eager")')
                tab.wait_for_timeout(150)
                tab.screenshot(path=a.out/f'{page}-{size}-{scheme}.png', full_page=True)
            tab.close()
        browser.close()
        server.shutdown()
    print(f'{4 * len(pages)} screenshots in {a.out}')


if __name__ == '__main__': main()
