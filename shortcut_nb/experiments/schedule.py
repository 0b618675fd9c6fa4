"""Which outputs of a graph may be made now, and what becomes of those that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush

from .graph import Graph


class Schedule:
    """The missing outputs of a graph as units of work, the first of the graph's order in front.

    A unit is what is made together: outputs of one group, or a single output.

    Attributes:
        units: the keys of each unit's outputs, by its name.
        running: how many units were started and have not ended.
    """

    def __init__(self, graph: Graph) -> None:
        self.units = _units(graph)
        self.running = 0
        self._needs = {unit: _needs(graph, keys) for unit, keys in self.units.items()}
        self._sorter = TopologicalSorter(self._needs)
        self._sorter.prepare()
        self._order = {unit: number for number, unit in enumerate(self.units)}
        self._waiting: list[tuple[int, str]] = []
        self._untried = set(self.units)
        self._failed: set[str] = set()

    def ready(self) -> bool:
        """Whether there is a unit that may be started."""
        for unit in self._sorter.get_ready():
            heappush(self._waiting, (self._order[unit], unit))
        return bool(self._waiting)

    def start(self) -> str:
        """The unit that is to be made next; it counts as running from now on."""
        _, unit = heappop(self._waiting)
        self._untried.remove(unit)
        self.running += 1
        return unit

    def end(self, unit: str, failed: bool) -> None:
        """Note that a unit ended; what needs one that failed will never be ready."""
        self.running -= 1
        if failed:
            self._failed.add(unit)
        else:
            self._sorter.done(unit)

    def untried(self) -> tuple[set[str], set[str]]:
        """Keys of what was not started: what needs a failed unit, and what does not."""
        barred = self._untried & self._barred()
        return self._keys(barred), self._keys(self._untried - barred)

    def _barred(self) -> set[str]:
        """The units that need a failed one, directly or through others."""
        barred: set[str] = set()
        for unit in TopologicalSorter(self._needs).static_order():
            if self._needs[unit] & (self._failed | barred):
                barred.add(unit)
        return barred

    def _keys(self, units: set[str]) -> set[str]:
        return {key for unit in units for key in self.units[unit]}


def _units(graph: Graph) -> dict[str, list[str]]:
    """Keys that are made together, by the unit's name; most units are one output."""
    units: dict[str, list[str]] = {}
    for key in graph.missing:
        units.setdefault(_home(graph, key), []).append(key)
    return units


def _needs(graph: Graph, keys: Sequence[str]) -> set[str]:
    """The units of which a unit needs an output that is missing."""
    needed = {need.recipe.key for key in keys for need in graph.nodes[key].needs}
    homes = {_home(graph, key) for key in needed if key in graph.missing}
    return homes - {_home(graph, key) for key in keys}


def _home(graph: Graph, key: str) -> str:
    """The unit that an output belongs to."""
    return graph.nodes[key].group or key
