"""English prose from the documentation of named, version-pinned Debian packages.

`corpus.txt` lists them: set, package, version. A set is `train`, `calibration` or `held_out`, so that
what a figure is measured on comes from packages that neither the model nor a profile has seen. The
packages are downloaded by apt, unpacked, and their HTML, manual pages and plain text are cut into
paragraphs; what does not read like English sentences is left out, and so is every paragraph that
stood anywhere before.
"""

import gzip
import hashlib
import html.parser
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SETS = ("train", "calibration", "held_out")
BLOCKS = {"p", "li", "dd", "dt", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "div", "section",
          "tr", "table", "ul", "ol", "dl", "blockquote", "body", "br", "pre"}
SILENT = {"script", "style", "pre", "nav", "header", "footer", "title", "svg", "math", "annotation"}
SPELLED = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...",
                         "\u00a0": " ", "\u2010": "-", "\u2011": "-", "\u2212": "-", "\t": " "})
COMMON = {"the", "of", "to", "a", "is", "and", "in", "that", "for", "it", "be", "are", "this", "you",
          "with", "on", "as", "by", "or", "not", "can", "if", "an", "will", "from"}
LEAST_PARAGRAPH, LEAST_PAGE = 80, 400
ROFF_BREAKS = re.compile(r"^[.'](PP|P|LP|SH|SS|TP|IP|sp|br|RS|RE|Pp|Sh|Ss|It|Bl|El|nf|fi|EX|EE|TH)\b")
ROFF_FONTS = re.compile(r"^[.'](B|I|BR|IR|BI|IB|RB|RI|SM|SB)\s+")


class HtmlText(html.parser.HTMLParser):
    """Paragraphs of a page; listings and navigation are passed over."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.text, self.silent = [], [], 0

    def flush(self):
        self.paragraphs.append("".join(self.text))
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag in BLOCKS:
            self.flush()
        self.silent += tag in SILENT

    def handle_endtag(self, tag):
        if tag in BLOCKS:
            self.flush()
        self.silent = max(0, self.silent - (tag in SILENT))

    def handle_data(self, data):
        if not self.silent:
            self.text.append(data)


def of_html(text):
    parser = HtmlText()
    parser.feed(text)
    parser.flush()
    return parser.paragraphs


def of_roff(text):
    paragraphs, lines = [], []
    for line in text.split("\n"):
        if ROFF_BREAKS.match(line) or not line.strip():
            paragraphs.append(" ".join(lines))
            lines = []
            continue
        fonts = ROFF_FONTS.match(line)
        if fonts:
            alternating = len(fonts.group(1)) == 2 and fonts.group(1) != "SM"
            words = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line[fonts.end():])]
            line = ("" if alternating else " ").join(words)
        elif line[:1] in ".'":
            continue
        line = re.sub(r"\\f(\[[^]]*\]|\(..|.)|\\[&/,|^]|\\s[-+]?\d+", "", line)
        line = line.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"') \
            .replace("\\(em", " - ").replace("\\e", "\\").replace("\\ ", " ")
        lines.append(line)
    return paragraphs + [" ".join(lines)]


def of_plain(text):
    return re.split(r"\n\s*\n", text)


def reader_for(path):
    """What takes a file apart, or None for a file that is no documentation."""
    name = path[:-3] if path.endswith(".gz") else path
    if "/man/" in path:
        english = re.search(r"/man/man\d", path)
        return of_roff if english else None
    if re.search(r"(changelog|copyright|NEWS|ChangeLog|\.(svg|js|css|png))", os.path.basename(path)):
        return None
    if re.search(r"\.(x?html?|htm\.en)$", name) or name.endswith(".html.en"):
        return of_html
    if re.search(r"\.(txt|text|rst|pod|md)$", name):
        return of_plain
    return None


def prose(paragraph):
    """The paragraph on one line, or None when it does not read like sentences."""
    text = re.sub(r"\s+", " ", paragraph.translate(SPELLED)).strip()
    if len(text) < LEAST_PARAGRAPH or not text.isascii() or text[-1] not in ".:!?)\"'":
        return None
    letters = sum(c.isalpha() or c == " " for c in text)
    words = [w.strip(".,:;()").lower() for w in text.split()]
    if letters < 0.9 * len(text) or sum(w in COMMON for w in words) < 0.25 * len(words):
        return None
    return text


def read_text(path):
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="replace")


def unpack(package, version, folder):
    """The package's files; downloaded once."""
    target = os.path.join(folder, f"{package}_{version.replace(':', '.')}")
    if not os.path.isdir(target):
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download",
                        f"{package}={version}"], cwd=folder, check=True)
        deb = next(f for f in os.listdir(folder) if f.startswith(package + "_") and f.endswith(".deb"))
        subprocess.run(["dpkg-deb", "-x", deb, target + ".new"], cwd=folder, check=True)
        os.remove(os.path.join(folder, deb))
        os.rename(target + ".new", target)
    return target


def pages_of(root, seen):
    for folder, names, files in os.walk(root):
        names.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            reader = reader_for(path)
            if reader is None or os.path.islink(path) or not os.path.isfile(path):
                continue
            kept = []
            for text in filter(None, map(prose, reader(read_text(path)))):
                mark = hashlib.sha256(text.encode()).digest()[:8]
                if mark not in seen:
                    seen.add(mark)
                    kept.append(text)
            page = "\n".join(kept)
            if len(page) >= LEAST_PAGE:
                yield page


def listed():
    with open(os.path.join(HERE, "corpus.txt"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    for row in rows:
        if len(row) != 3 or row[0] not in SETS:
            raise SystemExit(f"corpus.txt: {' '.join(row)}: expected SET PACKAGE VERSION")
    return rows


def load(folder, wanted=SETS):
    """{set: [page]}. The held-out sets are read first: what they share with others is theirs."""
    os.makedirs(folder, exist_ok=True)
    pages, seen = {name: [] for name in SETS}, set()
    for name in reversed(SETS):
        if name not in wanted:
            continue
        for kind, package, version in listed():
            if kind == name:
                pages[name] += pages_of(unpack(package, version, folder), seen)
    return pages


def main():
    import sys
    pages = load(sys.argv[1])
    for name in SETS:
        print(name, len(pages[name]), "pages", sum(map(len, pages[name])), "characters")


if __name__ == "__main__":
    main()
