"""Where the project lives: `git_url` and `doc_url` of settings.ini, the one place. Both are empty until it has a home.

From them follow the [source] links, the project's addresses in its metadata, "open in Colab" and "edit this page", and on a
built site canonical addresses, the picture and title that a link to it shows elsewhere, sitemap.xml and robots.txt.
"""
import html, re
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
PICTURE = 'card.png'  # what a link to the site shows elsewhere
BRANCH = 'main'


@cache
def home(file=ROOT/'settings.ini'):
    "`git_url` and `doc_url`, without a slash at their end; '' for what has not been set."
    config = ConfigParser(delimiters=['='])
    config.read(file, encoding='utf-8')
    return tuple(config['DEFAULT'].get(k, '').strip().rstrip('/') for k in ('git_url', 'doc_url'))


def source_links(notebook):
    "What a page offers beside its notebook: to run it in Colab, to edit it; as HTML, '' without a repository."
    git, _ = home()
    if not git: return ''
    place = f'{BRANCH}/nbs/{notebook}'
    links = [('Edit this page', f'{git}/edit/{place}')]
    if urlsplit(git).hostname == 'github.com':
        links.insert(0, ('Run it in Colab', f'https://colab.research.google.com/github{urlsplit(git).path}/blob/{place}'))
    return ''.join(f' <span><a href="{html.escape(to)}">{text}</a></span>' for text, to in links)


def with_address(page, name):
    "A page's HTML with its canonical address and what is shown where somebody links to it."
    _, doc = home()
    if not doc or 'rel="canonical"' in page: return page
    address = f'{doc}/' if name == 'index.html' else f'{doc}/{name}'
    found = re.search(r'<meta name="description" content="(.*?)"', page), re.search(r'<title>(.*?)</title>', page)
    about, title = (m[1] if m else '' for m in found)
    held = {'og:type': 'website', 'og:title': title, 'og:description': about, 'og:url': address, 'og:image': f'{doc}/{PICTURE}', 'twitter:card': 'summary_large_image'}
    tags = ''.join(f'<meta {"name" if k.startswith("twitter") else "property"}="{k}" content="{v}">' for k, v in held.items() if v)
    return page.replace('</head>', f'<link rel="canonical" href="{address}">{tags}</head>', 1)


def write_sitemap(site):
    "sitemap.xml with each page's full address and robots.txt that leads to it; without an address neither has anything to say."
    _, doc = home()
    for old in ('sitemap.xml', 'robots.txt'): (site/old).unlink(missing_ok=True)
    if not doc: return
    names = sorted(p.relative_to(site).as_posix() for p in site.rglob('*.html') if p.name != '404.html')
    urls = ''.join(f'<url><loc>{doc}/{"" if n == "index.html" else n}</loc></url>\n' for n in names)
    (site/'sitemap.xml').write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n', encoding='utf-8')
    (site/'robots.txt').write_text(f'User-agent: *\nAllow: /\nSitemap: {doc}/sitemap.xml\n', encoding='utf-8')
