"""How does a ring leave the room: as a graph, as GraphML, as CSV that a spreadsheet will not run?"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.errors import ParameterError
from rcakit.graphs.evidence import Ring
from rcakit.graphs.result import RingResult, code_of

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["export", "graph", "graph_of", "write_codes"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TABLES = ("rings", "members", "evidence")


def graph(result: RingResult, ring_id: str, *, bipartite: bool = False) -> "nx.Graph":
    """Return one ring as a networkx graph, with the evidence on its edges.

    Parameters
    ----------
    result
        Rings.
    ring_id
        Which one.
    bipartite
        Accounts and attributes as nodes; else accounts only, joined by what they share.

    Returns
    -------
    networkx.Graph
        Accounts carry ``kind="account"``, ``is_known_bad``, ``joined_at``; edges carry ``weight``
        and, between accounts, ``n_shared`` and ``evidence`` (types and attributes).
    """
    return graph_of(result.ring(ring_id), bipartite=bipartite)


def graph_of(ring: Ring, *, bipartite: bool) -> "nx.Graph":
    """Build the graph of one ring."""
    import networkx as nx

    built: nx.Graph = nx.Graph(ring_id=ring.ring_id, score=ring.score)
    for member in ring.members:
        joined = member.joined_at.isoformat() if member.joined_at else ""
        built.add_node(
            ("account", member.account_id),
            label=member.account_id,
            kind="account",
            is_known_bad=member.is_known_bad,
            joined_at=joined,
        )
    if bipartite:
        for item in ring.shared:
            node = (item.attribute_type, item.attribute)
            built.add_node(node, label=item.attribute, kind=item.attribute_type)
            for holder in item.holders:
                built.add_edge(("account", holder), node, weight=item.weight)
        return built
    shared: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, item in enumerate(ring.shared):
        for pair in combinations(sorted(set(item.holders)), 2):
            shared[pair].append(number)
    for (first, second), numbers in shared.items():
        items = [ring.shared[number] for number in numbers]
        built.add_edge(
            ("account", first),
            ("account", second),
            weight=sum(item.weight for item in items),
            n_shared=len(items),
            evidence="; ".join(f"{item.attribute_type}: {item.attribute}" for item in items),
        )
    return built


def export(result: RingResult, folder: str | Path, *, mask_key: str | None = None) -> list[Path]:
    """Write the tables as CSV and every ring as GraphML.

    Parameters
    ----------
    result
        Rings.
    folder
        Made when it is not there; files of the same names are replaced.
    mask_key
        Secret that replaces account ids and attributes by codes; None writes them as they are.

    Returns
    -------
    list of Path
        Files written: ``rings.csv``, ``members.csv``, ``evidence.csv``, ``<ring_id>.graphml``.

    Notes
    -----
    Text that a spreadsheet would run as a formula gets an apostrophe in front; control and
    invisible characters are spelt out.
    """
    shown = result if mask_key is None else result.masked(mask_key)
    where = Path(folder)
    if where.exists() and not where.is_dir():
        raise ParameterError(f"folder must be a directory, got the file {str(where)!r}.")
    where.mkdir(parents=True, exist_ok=True)
    written = [_write_csv(shown, name, where / f"{name}.csv") for name in _TABLES]
    return written + [
        _write_graphml(ring, where / f"{ring.ring_id}.graphml") for ring in shown.rings
    ]


def write_codes(rings: Sequence[Ring], key: str, path: Path) -> Path:
    """Write which code of a masked report stands for which account or attribute."""
    path.mkdir(parents=True, exist_ok=True)
    named = {("account", member.account_id) for ring in rings for member in ring.members}
    named |= {(item.attribute_type, item.attribute) for ring in rings for item in ring.shared}
    with (path / "codes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "what", "value"])
        for kind, value in sorted(named):
            writer.writerow([code_of(value, key), _inert(kind), _inert(value)])
    return path / "codes.csv"


def _write_csv(result: RingResult, table: str, path: Path) -> Path:
    names = list(result.tables[table])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in result.to_records(table):
            writer.writerow([_inert(row[name]) for name in names])
    return path


def _inert(value: Any) -> Any:
    """Make text from the data safe to open in a spreadsheet."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    shown = wording.visible(text, longest=max(len(text), 1))
    return f"'{shown}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else shown


def _write_graphml(ring: Ring, path: Path) -> Path:
    """Write one ring, accounts and attributes; XML cannot hold control characters."""
    import networkx as nx

    built = graph_of(ring, bipartite=True)
    number = {node: f"n{i}" for i, node in enumerate(built.nodes)}
    plain: nx.Graph = nx.Graph()
    for node, values in built.nodes(data=True):
        plain.add_node(number[node], **{k: _plain(v) for k, v in values.items()})
    for first, second, values in built.edges(data=True):
        plain.add_edge(number[first], number[second], **values)
    nx.write_graphml_xml(plain, str(path))
    return path


def _plain(value: Any) -> Any:
    return wording.visible(value, longest=200) if isinstance(value, str) else value
