"""Secrets: read where they are kept, known to the run, and never written down.

A secret is no parameter, for parameters are written into every report. `secret` reads it in the
notebook and tells the runner, over a private socket, what to keep out of all that it saves.
"""

import base64
import html
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from rcakit.errors import ParameterError

__all__ = ["ADDRESS", "Redactor", "SecretListener", "check_no_secrets", "secret"]

# In the environment of a kernel: the socket on which its runner listens.
ADDRESS = "RCAKIT_SECRETS"

# A shorter value would be struck out of ordinary words and numbers too.
_SHORTEST = 6
_SHORTEST_LINE = 8
_SENSITIVE = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|credentials?|api_?key|access_?key"
    r"|private_?key)$",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?<=://)([^/\s:@\"'\\]*:)[^@/\s\"'\\]+(?=@)")


class _Secret(str):
    """A text that does not show itself where a notebook shows values."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"


def secret(name: str) -> str:
    """Return a secret, and have it kept out of the report.

    Looked for, in this order: the environment variable of that name; the file that ``NAME_FILE``
    names; a file of that name in ``$CREDENTIALS_DIRECTORY`` (systemd) or in ``/run/secrets``
    (containers).

    Parameters
    ----------
    name
        For example ``"WAREHOUSE_PASSWORD"``.

    Returns
    -------
    str
        The value; a line break at its end is left out.

    Raises
    ------
    ParameterError
        It is nowhere, or shorter than 6 characters: striking it out would damage other text.

    Notes
    -----
    The runner strikes out the value, each of its longer lines, and their forms in JSON, HTML,
    URLs, Python literals, hexadecimal digits and base64. It cannot know what a notebook computes
    from a secret by other means, such as a hash, or its parts.
    """
    value = _looked_up(name)
    if len(value) < _SHORTEST:
        raise ParameterError(
            f"secret {name!r} must have at least {_SHORTEST} characters, got {len(value)}. "
            "A shorter one cannot be struck out of a report."
        )
    _tell_runner(name, value)
    return _Secret(value)


def check_no_secrets(names: Iterator[str]) -> None:
    """Refuse parameters that are named like secrets."""
    for name in names:
        if _SENSITIVE.search(name):
            raise ParameterError(
                f"parameter {name!r} must not be a secret: parameters are written into the "
                f"report. Read it in the notebook with rcakit.secret({name.upper()!r})."
            )


class Redactor:
    """Strikes secrets out of text, in every form in which they are likely to be written."""

    def __init__(self) -> None:
        self._forms: dict[str, str] = {}
        self._wrapped: list[tuple[str, re.Pattern[str], str]] = []
        self._lock = threading.Lock()

    def add(self, name: str, value: str) -> None:
        """Know one more secret."""
        shown = f"[redacted:{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:60]}]"
        with self._lock:
            forms = dict(self._forms)
            for part in _parts(value):
                for form in _written(part):
                    forms.setdefault(form, shown)
                self._wrapped += [(form[:12], _folded(form), shown) for form in _packed(part)]
            # The longest first: a part must not be struck out of the whole before the whole is.
            self._forms = dict(sorted(forms.items(), key=lambda item: -len(item[0])))

    def __bool__(self) -> bool:
        """Whether there is anything to strike out."""
        return bool(self._forms)

    def text(self, text: str) -> str:
        """Return a text without secrets, and without passwords in addresses."""
        for form, shown in self._forms.items():
            if form in text:
                text = text.replace(form, shown)
        for start, pattern, shown in self._wrapped:
            if start in text:
                text = pattern.sub(shown, text)
        return _IN_URL.sub(r"\1[redacted]", text) if "://" in text else text

    def tree(self, value: Any) -> Any:
        """Return mappings, lists and texts in them without secrets; the given value is not changed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            made = {self.text(str(key)): self.tree(item) for key, item in value.items()}
            return type(value)(made)  # type: ignore[call-arg] # notebooks keep their own kind
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value

    def sweep(self, folder: Path) -> None:
        """Strike out of every file in a folder what was written past the other doors."""
        if not self:
            return
        for path in sorted(item for item in folder.rglob("*") if item.is_file()):
            before = path.read_bytes()
            text = before.decode("utf-8", "surrogateescape")
            after = self._struck(text).encode("utf-8", "surrogateescape")
            if after != before:
                path.write_bytes(after)

    def _struck(self, text: str) -> str:
        for form, shown in self._forms.items():
            text = text.replace(form, shown)
        for _, pattern, shown in self._wrapped:
            text = pattern.sub(shown, text)
        return text


class SecretListener:
    """Hears from one kernel which values are secrets, before the kernel may use them.

    Parameters
    ----------
    path
        Where to listen: a socket in a folder that only this user can enter.
    redactor
        What is told of each secret.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self.path = path
        self._redactor = redactor
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:  # closed
                return
            with caller, caller.makefile("rwb") as stream:
                told = json.loads(stream.readline())
                self._redactor.add(told["name"], told["value"])
                stream.write(b"kept\n")


def _looked_up(name: str) -> str:
    if name in os.environ:
        return os.environ[name]
    places = [os.environ.get(f"{name}_FILE")]
    homes = (os.environ.get("CREDENTIALS_DIRECTORY"), "/run/secrets")
    places += [str(Path(home) / name) for home in homes if home]
    for place in places:
        if place and Path(place).is_file():
            return Path(place).read_text("utf-8").rstrip("\r\n")
    raise ParameterError(
        f"secret {name!r} must be set, got nothing. Set the environment variable {name}, or "
        f"{name}_FILE to the path of a file that holds it."
    )


def _tell_runner(name: str, value: str) -> None:
    """Have the runner know the value before anything can show it."""
    address = os.environ.get(ADDRESS)
    if address is None:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(address)
        with line.makefile("rwb") as stream:
            stream.write(json.dumps({"name": name, "value": value}).encode() + b"\n")
            stream.flush()
            if stream.readline() != b"kept\n":
                raise ParameterError(f"secret {name!r} must be known to the runner, got no answer.")


def _parts(value: str) -> set[str]:
    """Return the value, its longer lines, and the password in it when it is an address."""
    parts = {value, value.strip()}
    parts |= {line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    try:
        password = urlsplit(value.strip()).password
    except ValueError:
        password = None
    if password and len(password) >= _SHORTEST:
        parts |= {password, unquote(password)}
    return parts


def _written(part: str) -> set[str]:
    """Return the forms in which a text may write another, one inside another at most."""
    once = {way(part) for way in _WAYS}
    twice = {way(form) for form in once for way in _WAYS}
    raw = part.encode()
    return {form for form in once | twice | {raw.hex(), raw.hex().upper()} if form}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_plain(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _markup(text: str) -> str:
    return html.escape(text, quote=False)


def _slashed(text: str) -> str:
    return _json(text).replace("/", r"\/")


def _script_json(text: str) -> str:
    r"""Return JSON as it stands in a page: ``<`` as ``\u003c``."""
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _wholly_quoted(text: str) -> str:
    return quote(text, safe="")


def _quoted_low(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe=""))


def _literal(text: str) -> str:
    return repr(text)[1:-1]


_WAYS: tuple[Callable[[str], str], ...] = (
    str,
    _json,
    _json_plain,
    _slashed,
    _script_json,
    html.escape,
    _markup,
    quote,
    quote_plus,
    _wholly_quoted,
    _quoted_low,
    _literal,
)


def _packed(part: str) -> set[str]:
    """Return the value in base64, at each place that it can have in a longer text."""
    forms = set()
    for shift in range(3):
        # Characters that hold bits of a neighbour are left out.
        first = (shift * 8 + 5) // 6
        raw = b"\0" * shift + part.encode()
        last = len(raw) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(raw).decode()[first:last])
    return {form for form in forms if len(form) >= _SHORTEST}


def _folded(form: str) -> re.Pattern[str]:
    """Match a form that may be broken into lines."""
    return re.compile(r"(?:\n|\\n)?".join(map(re.escape, form)) + "={0,2}")
