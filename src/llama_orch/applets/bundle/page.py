# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a bundle: what it is and how it is installed, with the client's logo and colour. One file, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from llama_orch.applets.bundle.wish import Wish
from llama_orch.applets.wheel import Brought
from llama_orch_utils.applets.branded.brand import Brand

FILE = "index.html"
_PLAIN = "#333333"
_STYLE = (
    "body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#222}}"
    "h1,h2,a{{color:{accent}}}header{{border-bottom:3px solid {accent};padding-bottom:1rem}}"
    "img{{max-height:6rem;max-width:100%}}pre{{background:#f4f4f4;padding:.8rem;overflow:auto}}"
    "dt{{font-weight:600;font-family:ui-monospace,monospace}}footer{{margin-top:3rem;font-size:.85em;color:#555}}"
)


def render(wish: Wish, applets: Sequence[Brought]) -> str:
    """The page as HTML; every text of the brand is a text in it."""
    brand = Brand(wish.name, wish.title, wish.version, (), wish.url)
    title = escape(wish.title)
    logo = f'<img src="{wish.icon()}" alt="{title}">\n' if wish.logo is not None else ""
    welcome = f"<p>{escape(wish.welcome)}</p>\n" if wish.welcome else ""
    told = [(escape(each.manifest.id), escape(brand.own(each.manifest.summary))) for each in applets]
    rows = "".join(f"<dt>{escape(wish.name)} {name}</dt>\n<dd>{words}</dd>\n" for name, words in told)
    support = f"<p>Support: {_linked(wish.support)}</p>\n" if wish.support else ""
    legal = "<br>".join(map(_linked, wish.legal))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE.format(accent=wish.accent or _PLAIN)}</style>\n</head>\n<body>\n"
        f"<header>\n{logo}<h1>{title} {escape(wish.version)}</h1>\n{welcome}</header>\n"
        f"<h2>Install</h2>\n<pre>python3 install.py\n{escape(wish.name)} login</pre>\n"
        f"<p>It needs Python 3.11 or later, and no network.</p>\n<h2>Commands</h2>\n<dl>\n{rows}</dl>\n"
        f'<footer>\n{support}<p>{legal}</p>\n<p><a href="NOTICES.txt">Licences</a></p>\n</footer>\n</body>\n</html>\n'
    )


def _linked(text: str) -> str:
    """An address as a link, anything else as a text."""
    shown = escape(text)
    if " " not in text and text.startswith(("https://", "http://")):
        return f'<a href="{shown}">{shown}</a>'
    return f'<a href="mailto:{shown}">{shown}</a>' if "@" in text and " " not in text else shown
