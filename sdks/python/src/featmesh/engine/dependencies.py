"""What depends on what: cycles, and what a change reaches. Nothing here recurses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from featmesh.engine.model import Flag, Operator, Segment

Graph = Mapping[str, Collection[str]]
"""From each key or id to those that it refers to; an unknown one refers to nothing."""

_SEGMENT_OPERATORS = frozenset({Operator.IN_SEGMENT, Operator.NOT_IN_SEGMENT})


def find_prerequisite_cycle(flags: Iterable[Flag]) -> tuple[str, ...] | None:
    """A cycle among prerequisites as a path of flag keys, or None.

    The path is closed, its first key stands again at its end: ``("a", "b", "a")``.
    Disabled and archived flags count.
    """
    return find_cycle({flag.key: prerequisite_keys(flag) for flag in flags})


def find_segment_cycle(segments: Iterable[Segment]) -> tuple[str, ...] | None:
    """A cycle among segments that name segments as a closed path of ids, or None."""
    return find_cycle({segment.id: nested_segment_ids(segment) for segment in segments})


def prerequisite_keys(flag: Flag) -> tuple[str, ...]:
    """Keys of the flags that this one names directly, in order, each once."""
    return tuple(dict.fromkeys(each.flag_key for each in flag.prerequisites))


def nested_segment_ids(item: Flag | Segment) -> tuple[str, ...]:
    """Ids of the segments that the item's rules name directly, in order, each once."""
    return tuple(
        dict.fromkeys(
            segment_id
            for rule in item.rules
            for condition in rule.conditions
            if condition.operator in _SEGMENT_OPERATORS
            for segment_id in condition.values
        )
    )


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """The first cycle that a depth-first walk meets, as a closed path, or None."""
    done: set[str] = set()
    for start in graph:
        if start in done:
            continue
        path: dict[str, Iterator[str]] = {start: iter(graph[start])}
        while path:
            node = next(reversed(path))
            for following in path[node]:
                if following in path:
                    nodes = list(path)
                    return (*nodes[nodes.index(following) :], following)
                if following in graph and following not in done:
                    path[following] = iter(graph[following])
                    break
            else:
                done.add(node)
                del path[node]
    return None


def on_cycles(graph: Graph) -> frozenset[str]:
    """All nodes that lie on a cycle."""
    return frozenset(cycle_edges(graph))


def cycle_edges(graph: Graph) -> dict[str, frozenset[str]]:
    """For each node on a cycle, those of its followings from which it can be reached again."""
    edges: dict[str, frozenset[str]] = {}
    for component in _components(graph):
        nodes = frozenset(component)
        for node in component:
            inside = nodes.intersection(graph[node])
            if inside:
                edges[node] = inside
    return edges


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """The starts and everything that can be reached from them."""
    reached = set(starts)
    waiting = list(reached)
    while waiting:
        for following in graph.get(waiting.pop(), ()):
            if following not in reached:
                reached.add(following)
                waiting.append(following)
    return reached


def reversed_graph(graph: Graph) -> dict[str, list[str]]:
    """The same graph with every arrow turned round."""
    turned: dict[str, list[str]] = {}
    for node, followings in graph.items():
        for following in followings:
            turned.setdefault(following, []).append(node)
    return turned


def _components(graph: Graph) -> Iterator[list[str]]:
    """Tarjan's strongly connected components, with the call stack as a list."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    for start in graph:
        if start in index:
            continue
        walk = [(start, iter(graph[start]))]
        index[start] = lowest[start] = len(index)
        open_nodes[start] = None
        while walk:
            node, followings = walk[-1]
            for following in followings:
                if following not in graph:
                    continue
                if following not in index:
                    index[following] = lowest[following] = len(index)
                    open_nodes[following] = None
                    walk.append((following, iter(graph[following])))
                    break
                if following in open_nodes:
                    lowest[node] = min(lowest[node], index[following])
            else:
                walk.pop()
                if walk:
                    parent = walk[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] == index[node]:
                    yield _close(open_nodes, node)


def _close(open_nodes: dict[str, None], root: str) -> list[str]:
    component = []
    while True:
        node, _ = open_nodes.popitem()
        component.append(node)
        if node == root:
            return component
