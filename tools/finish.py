"""What every built site goes through, whoever rendered it: `python tools/finish.py FOLDER`. Twice is as good as once.

Quarto runs this itself after it has rendered (`post-render` in _quarto.yml), so plain `nbdev-docs` gives the same site as
`tools/docs.py`: with the notebooks beside the pages, widgets, scripts and pictures that load late, and addresses.
"""
import base64, html, io, os, re, shutil, sys
from functools import partial
from hashlib import md5
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

from tools.home import with_address, write_sitemap
from tools.widgets import lighten

DRAWN = re.compile(r'<img (?![^>]*\bwidth=)(?=[^>]*src="([^":]+\.svg)")')
IMG = re.compile(r'<img (?![^>]*\bloading=)(?=[^>]*src="[^":]+")')
STILL = re.compile(r'src="data:image/(png|jpeg|gif|svg\+xml);base64,([^"]+)"')
MAIN = re.compile(r'<main\b.*</main>', re.S)
# in parentheses: a source with its year, or a short sentence of its own
NOTE = re.compile(r' \((<a href="https?://[^"]*"[^>]*>[^<]*\b(?:19|20)\d\d</a>|(?<=[.:?!] \()(?:<\w[^>]*>)?[A-Z](?:(?!</?p>|</li>|[()]).){9,300}?\.)\)(?=[\s.,;:<])', re.S)
SIDE = '<span class="note-mark" aria-hidden="true"></span><span class="sidenote"><span class="paren"> (</span>{}<span class="paren">)</span></span>'
CODE = re.compile(r'(<pre\b[^>]*><code\b[^>]*>)((?:(?!<span class="l").)*?)(</code>)', re.S)
PHONE, DEEP = 36, 12  # columns of code that a phone surely shows; an indent that takes too many of them
LONGEST = 64  # characters of a side note: a longer one would reach below its paragraph
# what must not part from what stands before it: a sign after a formula, a deviation, a number of samples
AFTER_MATHS = re.compile(r'(\(?)((?:<span class="math inline">)?<math(?![^>]*display="block")(?:(?!</math>).)*</math>(?:</span>)?)([.,;:?!)]+)', re.S)
PARTS = re.compile(r'(<(pre|script|style|code|annotation|textarea)\b.*?</\2>)', re.S)
BOUND = re.compile(r'(?<=[\d%]) ± (?=\d)|(?<=\bn) = (?=\d)')
SCRIPT = re.compile(r'<script (?![^>]*\b(?:defer|async|type="module")\b)(?=src="(?!https?:|scheme\.js)[^"]+")')


def finish(site):
    "Make a rendered site complete and light."
    copy_notebooks(site)
    for page in site.rglob('*.html'):
        lighten(page)
        before = page.read_text(encoding='utf-8')
        text = STILL.sub(partial(in_file, page.parent/'widgets'), before)
        text = DRAWN.sub(partial(with_size, page.parent), text)
        text = MAIN.sub(lambda m: bound(m[0]), CODE.sub(with_hanging_lines, MAIN.sub(with_side_notes, text)))
        new = with_address(IMG.sub('<img loading="lazy" ', SCRIPT.sub('<script defer ', text)), page.relative_to(site).as_posix())
        if new != before: page.write_text(new, encoding='utf-8')
    for copy in [*site.glob('*.html.md'), *site.glob('*.llms.md')]: copy.write_text(words(copy.read_text(encoding='utf-8')), encoding='utf-8')
    for picture in site.glob('*_files/**/*.png'):
        data = picture.read_bytes()
        if (less := light(data)) is not data: picture.write_bytes(less)
    write_sitemap(site)


def in_file(folder, found):
    "Save a picture that stands in the page itself in a file; returns the attribute that names it."
    raw = base64.b64decode(found[2])
    folder.mkdir(exist_ok=True)
    file = folder/f'{md5(raw).hexdigest()[:8]}.{found[1].removesuffix("+xml")}'
    file.write_bytes(raw)
    return f'src="{folder.name}/{file.name}"'


def with_size(folder, found):
    "An image of a drawing with the drawing's own size, so that the page keeps its room before it is there."
    file = folder/html.unescape(found[1])
    head = file.read_text(encoding='utf-8')[:2000] if file.is_file() else ''
    size = [re.search(rf'<svg\b[^>]*\s{side}="([\d.]+)"', head) for side in ('width', 'height')]
    return f'<img width="{round(float(size[0][1]))}" height="{round(float(size[1][1]))}" ' if all(size) else found[0]


def with_side_notes(main):
    "The text with its sources and short asides marked, so that a wide page can show them in its margin; elsewhere they stay in parentheses."
    return NOTE.sub(lambda m: SIDE.format(m[1]) if len(re.sub('<[^>]+>', '', m[1])) <= LONGEST else m[0], main[0])


def bound(main):
    "The text with signs after a formula kept at it, and with `97.5% ± 0.2%` and `n = 5` in one line; code stays."
    parts = PARTS.split(AFTER_MATHS.sub(r'<span class="bound">\1\2\3</span>', unbound(main)))  # text, block, its tag, text, …
    return ''.join(part if n % 3 == 1 else BOUND.sub(lambda m: m[0].replace(' ', '\u00a0'), part) for n, part in enumerate(parts) if n % 3 < 2)


def unbound(main): return re.sub(r'<span class="bound">((?:(?!<span class="bound">).)*?</math>(?:</span>)?[.,;:?!)]+)</span>', r'\1', main, flags=re.S)


def with_hanging_lines(found):
    "A block of code whose long lines, where a page is too narrow for them, continue below their own indent, and whose deep indents may shrink there."
    def line(text):
        plain = html.unescape(re.sub('<[^>]+>', '', text))
        indent = len(plain) - len(plain.lstrip(' '))
        if len(plain) <= PHONE and indent <= DEEP or text.count('<span') != text.count('</span>'): return text  # the latter: amid a string of several lines
        deep = indent > DEEP and text.startswith(' '*indent)
        return f'<span class="l" style="--in:{indent}">{f"<span class=in>{text[:indent]}</span>{text[indent:]}" if deep else text}</span>'
    return found[1] + '\n'.join(map(line, found[2].split('\n'))) + found[3]


def copy_notebooks(out):
    "Put the notebooks beside the pages, which offer them; pages link to `notebooks/…`, a name that no renderer leads to a page."
    (out/'notebooks').mkdir(parents=True, exist_ok=True)
    for f in (ROOT/'nbs').glob('*.ipynb'):
        if not f.name.startswith('reference_'): shutil.copy(f, out/'notebooks')


def light(picture, n_colors=64):
    "A PNG with a palette, a good deal smaller and alike to the eye, also where it is transparent; the picture as it is where that does not help, or it is no PNG."
    from PIL import Image
    image = Image.open(io.BytesIO(picture))
    if image.format != 'PNG' or image.mode == 'P': return picture
    if image.convert('RGBA').getextrema()[3][0] < 255:  # a figure without a ground: only this way keeps how transparent each color is
        image = image.convert('RGBA').quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    else: image = image.convert('RGB').quantize(n_colors, dither=Image.Dither.NONE)
    image.save(out := io.BytesIO(), 'PNG', optimize=True, dpi=Image.open(io.BytesIO(picture)).info.get('dpi', (96, 96)))
    return min(picture, out.getvalue(), key=len)


def words(md):
    "Markdown in which widgets are reduced to the words that they show where no script runs."
    def less(m): return re.sub(r'<(script|style)\b.*?</\1>|<img [^>]*src="data:[^>]*>', '', m[0], flags=re.S)
    md = re.sub(r'^(`{3,})\{=html\}\n.*?\n\1$', less, md, flags=re.M | re.S)
    return re.sub(r'^<(script|style)\b.*?</\1>$', '', md, flags=re.M | re.S)  # as Quarto writes raw HTML


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('QUARTO_PROJECT_OUTPUT_DIR')
    if not folder or not Path(folder).is_dir(): sys.exit('usage: python tools/finish.py FOLDER (of a rendered site)')
    finish(Path(folder).resolve())


if __name__ == '__main__': main()
