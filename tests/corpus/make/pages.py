"""Pages in the layouts of real sites, and pages that Chromium saves as MHTML."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.corpus.make.programs import FILES, write_truth

_STORY = (
    "The old swing bridge at the mouth of the river was opened for the last time on Sunday, and some four hundred people "
    "came to watch. It was built in 1911, when barges still carried coal to the gasworks, and it had been repaired so "
    "often that hardly a rivet was original.",
    "Its keeper, Marta Lind, has worked there for twenty-six years. She knew most of the captains by name and kept a "
    "notebook of every ship that passed. The last entry says only: “calm, no wind, the Elisabeth at noon”.",
    "The new bridge is fixed and stands eleven metres above the water. Yachts with taller masts must lower them or wait "
    "for the crane at the shipyard, which charges eighty euros. The sailing club has protested, so far without success.",
    "What happens to the old bridge is not decided. The museum would like to have the engine, a school has asked for the "
    "bell, and the town council wants to sell the steel. A decision is expected in October.",
)
_LINKS = ("Home", "Politics", "Sport", "Weather", "Jobs", "Contact us")
_LEGAL = "Imprint", "Privacy", "Cookie settings", "Newsletter archive"
_BANNER = "We and our 214 partners store cookies on your device. Accept all or choose settings."
_TEASERS = ("Ten recipes with rhubarb", "Why trams are late again", "Lottery numbers of Saturday", "Horoscope for Leo")
_NOT = ("not: Accept all", "not: Cookie settings", "not: Horoscope for Leo")


def make() -> None:
    """Make all files of this program."""
    title = "Old swing bridge closed"
    paragraphs = "".join(f"<p>{text}</p>\n" for text in _STORY)
    truth = [f"heading: {title}", *_STORY, "may: By Jonas Weber 12 May 2024 Old swing bridge closed", *_NOT]
    for name, page in {
        "semantic": _semantic(title, paragraphs),
        "divs": _divs(title, paragraphs),
        "tables": _table_layout(title, paragraphs),
        "comments": _with_comments(title, paragraphs),
    }.items():
        (FILES / f"article-{name}.html").write_text(page, encoding="utf-8")
        # A row of links in the last cell of the page's table is like one of an article's own table: it may stay.
        legal = f"may: {' | '.join(_LEGAL)}"
        lines = [legal if line == "not: Cookie settings" and name == "tables" else line for line in truth]
        write_truth(f"article-{name}.html", lines, "written by hand after real sites")
    _documentation()
    _whole_pages()
    _saved_by_chromium(_semantic(title, paragraphs))


def _list(entries: tuple[str, ...], tag: str = "ul") -> str:
    items = "".join(f'<li><a href="/{entry.lower().replace(" ", "-")}">{entry}</a></li>' for entry in entries)
    return f"<{tag}>{items}</{tag}>"


def _semantic(title: str, paragraphs: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title} – Harbour Post</title>
<script>var tracking = {{"id": "UA-1"}};</script><style>nav li {{ float: left }}</style></head>
<body><div id="cookie-banner" role="dialog">{_BANNER} <button>Accept all</button></div>
<header><a href="/">Harbour Post</a><nav>{_list(_LINKS)}</nav><form><input name="q"><button>Search</button></form></header>
<main><article><h1>{title}</h1><p class="byline">By Jonas Weber</p>{paragraphs}</article></main>
<aside><h2>Read also</h2>{_list(_TEASERS)}</aside>
<footer><nav>{_list(_LEGAL)}</nav><p>© 2024 Harbour Post Ltd. All rights reserved.</p></footer></body></html>
"""


def _divs(title: str, paragraphs: str) -> str:
    """The layout of a site that has no elements of HTML 5."""
    return f"""<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"><title>{title}</title></head>
<body><div id="top"><div class="menu">{_list(_LINKS)}</div></div>
<div id="page"><div class="left-column"><div class="widget"><h3>Most read</h3>{_list(_TEASERS, "ol")}</div></div>
<div class="content"><h1>{title}</h1><div class="date">12 May 2024</div>{paragraphs}
<div class="share"><a href="#">Share</a> <a href="#">Tweet</a> <a href="#">Print</a></div></div></div>
<div id="footer">{_list(_LEGAL)}<div class="small">Harbour Post Ltd, 3 Quay Street. {_BANNER}</div></div></body></html>
"""


def _table_layout(title: str, paragraphs: str) -> str:
    """A page of the nineties: its columns are cells of a table."""
    menu = "".join(f'<tr><td><a href="{link}.html">{link}</a></td></tr>' for link in (*_LINKS, *_TEASERS))
    legal = " | ".join(f'<a href="{entry}.html">{entry}</a>' for entry in _LEGAL)
    return f"""<HTML><HEAD><TITLE>{title}</TITLE></HEAD><BODY>
<TABLE width="100%"><TR><TD colspan="2">Harbour Post online</TD></TR>
<TR valign="top"><TD width="150"><TABLE>{menu}</TABLE></TD><TD><H1>{title}</H1>{paragraphs}</TD></TR>
<TR><TD colspan="2" align="center">{legal}</TD></TR></TABLE></BODY></HTML>
"""


def _with_comments(title: str, paragraphs: str) -> str:
    return f"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title} | Harbour Post</title></head><body class="single">
<div class="site-header"><ul class="nav">{_list(_LINKS)}</ul></div>
<div class="post hentry"><h1 class="entry-title">{title}</h1><div class="entry-content">{paragraphs}</div></div>
<div class="related-posts"><h3>You may also like</h3>{_list(_TEASERS)}</div>
<div class="newsletter-signup">Never miss a story! Leave your address. <input type="email"><button>Subscribe</button></div>
<footer class="site-footer">{_list(_LEGAL)} {_BANNER}</footer></body></html>
"""


def _documentation() -> None:
    """A page of a manual: a table of contents at its side, code, a table."""
    contents = ("Installation", "First steps", "Options", "Plugins", "Frequently asked questions", "Release notes")
    text = (
        "The tool reads its options from a file in the current folder. Each line has a name and a value; what comes after "
        "a hash sign is ignored. Options of the command line are stronger than those of the file.",
        "Unknown names are refused, so that a spelling mistake does not go unnoticed. The message names the line.",
    )
    page = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Options — gauge 3.1</title></head><body>
<div class="wy-nav-side" role="navigation" aria-label="main">{_list(contents)}</div>
<section class="wy-nav-content"><div role="navigation" aria-label="breadcrumbs">Docs » Options</div>
<div role="main" class="document"><h1>Options</h1><p>{text[0]}</p><p>{text[1]}</p>
<pre><code>interval = 30   # seconds
colour = blue</code></pre>
<h2>List of options</h2><table><thead><tr><th>Name</th><th>Default</th><th>Meaning</th></tr></thead>
<tbody><tr><td><p>interval</p></td><td><p>60</p></td><td><p>Seconds between two readings</p></td></tr>
<tr><td><p>colour</p></td><td></td><td><p>Colour of the line,<br>by name</p></td></tr></tbody></table></div>
<footer><a href="prev">Previous</a> <a href="next">Next</a> Built with a generator of pages.</footer></section></body></html>
"""
    truth = [
        "heading: Options", *text, "interval = 30 # seconds", "colour = blue", "heading: List of options",
        "head: Name | Default | Meaning", "row: interval | 60 | Seconds between two readings",
        "row: colour | Colour of the line, by name", "not: Frequently asked questions", "not: Built with a generator",
        "may: Options gauge 3 1",
    ]  # fmt: skip
    (FILES / "article-documentation.html").write_text(page, encoding="utf-8")
    write_truth("article-documentation.html", truth, "written by hand after real sites")


def _whole_pages() -> None:
    """Pages that are no articles: everything on them is content."""
    stops = (
        ("Stop", "First tram", "Last tram"),
        ("Quay", "04:50", "00:30"),
        ("Zoo", "05:05", "23:55"),
        ("Arena", "", "01:10"),
    )
    rows = "".join("<tr>" + "".join(f"<td><div>{cell}</div></td>" for cell in row) + "</tr>" for row in stops)
    page = f"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>Timetable</title></head><body><h1>Line 7</h1>
<table>{rows}</table><p>Valid from 3 June.</p><form><label>Remind me <select><option>by mail<option>by text message</select>
</label></form><p>Lost property: 555 0199</p></body></html>"""
    (FILES / "page-timetable.html").write_text(page, encoding="utf-8")
    truth = [
        "heading: Line 7", "head: " + " | ".join(stops[0]),
        *("row: " + " | ".join(cell for cell in row if cell) for row in stops[1:]),
        "Valid from 3 June.", "may: Remind me by mail by text message Timetable", "Lost property: 555 0199",
    ]  # fmt: skip
    write_truth("page-timetable.html", truth, "written by hand after real sites")
    links = (
        "Minutes of January", "Minutes of February", "Minutes of March", "Budget for next year", "Rules of the harbour",
        "Application for a berth", "Price list",
    )  # fmt: skip
    page = f"<html><head><title>Documents</title></head><body><h1>Documents</h1>{_list(links)}</body></html>"
    (FILES / "page-links.html").write_text(page, encoding="utf-8")
    write_truth("page-links.html", ["may: Documents", *links], "written by hand after real sites")


def _saved_by_chromium(page: str) -> None:
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        source = Path(folder) / "bridge.html"
        source.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(source.as_uri())
        saved = tab.context.new_cdp_session(tab).send("Page.captureSnapshot", {"format": "mhtml"})["data"]
        program = f"Chromium {browser.version}"
        browser.close()
    # The folder's name is random.
    (FILES / "chromium-bridge.mhtml").write_bytes(saved.replace(folder, "/home/ann").encode())
    date = re.search(r"^Date: (.*)", saved, re.M)
    may = f"may: {date[1].strip() if date else ''} Old swing bridge closed Harbour Post By Jonas Weber From Subject Date Saved by Blink"
    write_truth("chromium-bridge.mhtml", ["anywhere: Old swing bridge closed", *_STORY, may, *_NOT], program)
