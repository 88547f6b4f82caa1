"""What is a playbook? A notebook with fixed headings and one cell of typed parameters.

This module finds playbooks, describes them and checks parameter values before any kernel starts.
The annotated assignments of the cell tagged ``parameters``, with the comment behind each, are the
only place where a parameter is declared::

    window_days: int = 28  # days that are searched for a change, 7–366
"""

import ast
import datetime as dt
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from rcakit.errors import ParameterError, PlaybookError
from rcakit.validation import did_you_mean, shown

if TYPE_CHECKING:
    import nbformat
    from pydantic import BaseModel

__all__ = ["HEADINGS", "Parameter", "Playbook", "available", "find", "problems", "scaffold"]

HEADINGS = (
    "Question",
    "Answer",
    "Parameters",
    "Data",
    "What changed",
    "Where",
    "Why",
    "What else could explain it",
    "Impact",
    "Timeline (UTC)",
    "What to do",
    "Limits and method",
)

_MAX_CELL_LINES = 15
# In the wheel the playbooks lie inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = (_PACKAGE / "playbooks", _PACKAGE.parent / "playbooks")
_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "date": dt.date,
    "datetime": dt.datetime,
    "None": None,
}
# "7–366" in a comment: the bounds of the parameter (an en dash, as ranges are written).
_RANGE = re.compile(r"(?<![\w.-])(-?\d+(?:\.\d+)?)\u2013(-?\d+(?:\.\d+)?)(?![\w-])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a playbook, as its cell declares it."""

    name: str
    annotation: Any
    type_text: str
    default: Any
    comment: str

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that the comment allows."""
        found = _RANGE.search(self.comment)
        return (float(found.group(1)), float(found.group(2))) if found else None


@dataclass(frozen=True)
class Playbook:
    """A playbook notebook on disk."""

    path: Path

    @property
    def name(self) -> str:
        """Name to run it by."""
        return self.path.stem

    @cached_property
    def notebook(self) -> "nbformat.NotebookNode":
        """The notebook as read from disk."""
        # jsonschema would build grammars of internationalised addresses: two seconds for nothing.
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
        import nbformat

        try:
            return nbformat.read(self.path, as_version=4)
        except (nbformat.reader.NotJSONError, nbformat.ValidationError, ValueError, OSError) as bad:
            reason = str(bad).partition("\n")[0][:200]
            raise PlaybookError(f"{self.path.name} is not a notebook: {reason}.") from None

    @cached_property
    def title(self) -> str:
        """First heading of the notebook."""
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown" and cell.source.startswith("# "):
                return str(cell.source.partition("\n")[0][2:].strip())
        return self.name

    @cached_property
    def question(self) -> str:
        """The question it answers, in one line."""
        prose = "\n".join(c.source for c in self.notebook.cells if c.cell_type == "markdown")
        found = re.search(r"^## Question\n+([^\n#]+)", prose, re.MULTILINE)
        return found.group(1).strip() if found else ""

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters in the order of the cell."""
        cells = [c for c in self.notebook.cells if "parameters" in c.metadata.get("tags", [])]
        if len(cells) != 1:
            raise PlaybookError(
                f"{self.path.name} must have one cell tagged 'parameters', got {len(cells)}."
            )
        return tuple(_declared(cells[0].source, self.path.name))

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameter values as plain JSON; refuse unknown names and wrong values.

        Parameters
        ----------
        given
            Values by name. Text is read by the type of the parameter: numbers, dates, ``true``,
            ``null``, and lists or dictionaries as JSON.

        Raises
        ------
        ParameterError
            A name is unknown, or a value is of the wrong type or outside its range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                near = did_you_mean(name, known)
                raise ParameterError(
                    f"{self.name} has no parameter {name!r}. Parameters: {', '.join(known)}. "
                    f"{near}".strip()
                )
        read = {name: _read(known[name], value) for name, value in given.items()}
        return self._validated(read)

    def _validated(self, values: Mapping[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        try:
            checked = self.model()(**values)
        except ValidationError as refused:
            first = refused.errors()[0]
            name = str(first["loc"][0])
            parameter = next(item for item in self.parameters if item.name == name)
            raise ParameterError(_refusal(parameter, values.get(name), first["msg"])) from None
        return checked.model_dump(mode="json")

    def model(self) -> "type[BaseModel]":
        """Build the pydantic model of the parameters."""
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {}
        for item in self.parameters:
            limits: dict[str, Any] = {"description": item.comment}
            if item.bounds and _is_numeric(item.annotation):
                limits |= {"ge": item.bounds[0], "le": item.bounds[1]}
            fields[item.name] = (item.annotation, Field(item.default, **limits))
        settings = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)
        return create_model(f"{self.name}_parameters", __config__=settings, **fields)


def available(folder: Path | None = None) -> tuple[Playbook, ...]:
    """List the playbooks that ship with rcakit and those in ``./playbooks``."""
    own = (Path.cwd() if folder is None else folder) / "playbooks"
    found: dict[str, Playbook] = {}
    for home in (*_SHIPPED, own):
        for path in sorted(home.glob("*.ipynb")):
            found[path.stem] = Playbook(path)
    return tuple(found[name] for name in sorted(found))


def find(name: str) -> Playbook:
    """Return a playbook by name, or by the path of its notebook."""
    if name.endswith(".ipynb"):
        if not Path(name).is_file():
            raise PlaybookError(f"playbook {name!r} does not exist. Check the path.")
        return Playbook(Path(name))
    known = {playbook.name: playbook for playbook in available()}
    if name not in known:
        raise PlaybookError(
            f"playbook {name!r} is unknown. Known: {', '.join(known) or 'none'}. "
            f"{did_you_mean(name, known)}".strip()
        )
    return known[name]


def problems(playbook: Playbook) -> list[str]:
    """Return what keeps a notebook from being a playbook; an empty list when nothing does."""
    cells = playbook.notebook.cells
    return [
        *_heading_problems(cells),
        *_parameter_problems(playbook),
        *(problem for i, cell in enumerate(cells) for problem in _cell_problems(i, cell, cells)),
    ]


def scaffold(name: str) -> "nbformat.NotebookNode":
    """Write the skeleton of a new playbook, which passes `problems`."""
    import nbformat

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ParameterError(
            f"NAME must be lower-case letters, digits and underscores, got {shown(name)}. "
            "For example my_question."
        )
    template = json.loads((_PACKAGE / "report" / "templates" / "playbook.json").read_text("utf-8"))
    notebook = nbformat.v4.new_notebook(metadata=template["metadata"])
    title = name.replace("_", " ").capitalize()
    for position, cell in enumerate(template["cells"]):
        source = "\n".join(cell["source"]).replace("{title}", title)
        new = (
            nbformat.v4.new_markdown_cell if cell["kind"] == "prose" else nbformat.v4.new_code_cell
        )
        made = new(source, id=f"{name[:20]}-{position:02d}")
        made.metadata["tags"] = cell.get("tags", [])
        notebook.cells.append(made)
    return notebook


def _declared(source: str, where: str) -> Iterator[Parameter]:
    """Read the annotated assignments of a cell, each with its comment."""
    try:
        body = ast.parse(source).body
    except SyntaxError as bad:
        raise PlaybookError(f"the parameters cell of {where} is not Python: {bad.msg}.") from None
    comments = _comments(source)
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            line = ast.get_source_segment(source, node) or ""
            raise PlaybookError(
                f"the parameters cell of {where} must hold annotated assignments such as "
                f"'days: int = 28  # days, 7–366', got {shown(line)}."
            )
        name = node.target.id
        try:
            default = None if node.value is None else ast.literal_eval(node.value)
            annotation = _annotation(node.annotation)
        except ValueError as bad:
            raise PlaybookError(f"parameter {name!r} of {where}: {bad}.") from None
        text = ast.unparse(node.annotation)
        comment = comments.get(node.end_lineno or node.lineno, "")
        yield Parameter(name, annotation, text, default, comment)


def _comments(source: str) -> dict[int, str]:
    """Return the comment on each line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _annotation(node: ast.expr) -> Any:
    """Turn an annotation into a type without running code."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _annotation(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.Name) and node.id in _TYPES:
        return _TYPES[node.id]
    if isinstance(node, ast.Attribute) and node.attr in _TYPES:
        return _TYPES[node.attr]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_annotation(node.left), _annotation(node.right)]  # noqa: UP007 - built at run time
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name | ast.Attribute):
        outer = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer == "Literal":
            return Literal[tuple(ast.literal_eval(part) for part in parts)]
        if outer in {"list", "dict", "tuple"}:
            return _TYPES[outer][tuple(_annotation(part) for part in parts)]
    raise ValueError(
        f"the annotation {ast.unparse(node)!r} is not one of {sorted(_TYPES)} or Literal"
    )


def _read(parameter: Parameter, value: Any) -> Any:
    """Read text from a command line by the type of the parameter."""
    if not isinstance(value, str):
        return value
    options = _options(parameter.annotation)
    if value in {"null", "None", "none"} and type(None) in options:
        return None
    for word in _words(parameter.annotation):
        if value == str(word):
            return word
    if str in options:
        return value
    containers = {get_origin(option) or option for option in options} & {list, dict, tuple}
    if containers:
        try:
            return json.loads(value)
        except ValueError:
            example = '{"key": "value"}' if containers == {dict} else '["policy", "surface"]'
            raise ParameterError(
                f"{parameter.name} must be {parameter.type_text} as JSON, got {shown(value)}. "
                f"For example '{example}'."
            ) from None
    return value


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(option for part in get_args(annotation) for option in _options(part))
    if get_origin(annotation) is Literal:
        return (str,)
    return (type(None),) if annotation is None else (annotation,)


def _words(annotation: Any) -> tuple[Any, ...]:
    """Return the values that a Literal allows."""
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(word for part in get_args(annotation) for word in _words(part))
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _is_numeric(annotation: Any) -> bool:
    return set(_options(annotation)) <= {int, float, type(None)}


def _refusal(parameter: Parameter, value: Any, message: str) -> str:
    allowed = parameter.type_text
    if parameter.bounds:
        low, high = parameter.bounds
        allowed = f"{allowed} between {low:g} and {high:g}"
    return (
        f"{parameter.name} must be {allowed}, got {shown(value)} ({message.lower()}). "
        f"It is: {parameter.comment}."
    )


def _heading_problems(cells: Any) -> list[str]:
    found = [
        line[3:].strip()
        for cell in cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("## ")
    ]
    if tuple(found) == HEADINGS:
        return []
    return [f"headings must be {list(HEADINGS)} in this order, got {found}"]


def _parameter_problems(playbook: Playbook) -> list[str]:
    try:
        parameters = playbook.parameters
        playbook.check({})
    except (PlaybookError, ParameterError) as bad:
        return [str(bad)]
    return [f"parameter {p.name!r} has no comment" for p in parameters if not p.comment]


def _cell_problems(position: int, cell: Any, cells: Any) -> list[str]:
    """Check one cell: thin, no definitions, no outputs, prose before code."""
    if cell.cell_type != "code":
        return []
    found = []
    is_parameters = "parameters" in cell.metadata.get("tags", [])
    if len(cell.source.splitlines()) > _MAX_CELL_LINES and not is_parameters:
        found.append(f"cell {position} has more than {_MAX_CELL_LINES} lines")
    if re.search(r"^\s*(def|class|async def)\s", cell.source, re.MULTILINE):
        found.append(f"cell {position} defines a function or class; it belongs in rcakit")
    if cell.outputs or cell.execution_count is not None:
        found.append(f"cell {position} has outputs; strip them")
    if position == 0 or cells[position - 1].cell_type != "markdown":
        found.append(f"cell {position} has no prose before it")
    return found
