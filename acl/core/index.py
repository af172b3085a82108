"""Many filters at once: a tree by level, so that an answer costs by the depth of the topic, not by the number of rules.

It agrees with `topics.covers` and `topics.intersects` filter by filter; those are the place to read the rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from acl.core.topics import levels_of


class _Node:
    __slots__ = ("below", "children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.here: list[int] = []  # numbers of filters that end at this level
        self.below: list[int] = []  # numbers of filters that go on with a final `#`


class FilterIndex:
    """Filters, each with a number. Answers are lists of numbers in rising order.

    `steps` is how many places of the tree `intersecting` has looked at so far.
    """

    __slots__ = ("_root", "steps")

    def __init__(self) -> None:
        self._root = _Node()
        self.steps = 0

    def add(self, filter: str, number: int) -> None:
        """Puts `filter` in under `number`."""
        *levels, last = levels_of(filter)
        node = self._root
        for level in levels:
            node = node.children.setdefault(level, _Node())
        if last == "#":
            node.below.append(number)
        else:
            node.children.setdefault(last, _Node()).here.append(number)

    def covering(self, wanted: str) -> list[int]:
        """The filters that cover the filter or topic name `wanted`."""
        spelled = wanted.startswith("$")
        nodes = [self._root]
        found: list[int] = []
        for level in levels_of(wanted):
            if level == "#":
                return sorted(found)
            following = []
            for node in nodes:
                if (child := node.children.get(level)) is not None:
                    following.append(child)
                if level != "+" and not spelled and (child := node.children.get("+")) is not None:
                    following.append(child)
            spelled = False
            nodes = following
            if not nodes:
                break
            for node in nodes:
                found += node.below
        for node in nodes:
            found += node.here
        return found if len(found) < 2 else sorted(found)

    def intersecting(self, wanted: str) -> list[int]:
        """The filters under which some topic name falls that falls under `wanted` as well."""
        first = True
        nodes = [self._root]
        found: list[int] = []
        for level in levels_of(wanted):
            if level == "#":
                for node in nodes:
                    self._add_beneath(node, found)
                return sorted(found)
            nodes = [child for node in nodes for child in _meeting(node, level, first=first)]
            first = False
            self.steps += len(nodes)
            for node in nodes:
                found += node.below
        for node in nodes:
            found += node.here
        return found if len(found) < 2 else sorted(found)

    def _add_beneath(self, node: _Node, found: list[int]) -> None:
        """The numbers in the whole tree below `node`, but for `node.below`, which was found on the way to it."""
        waiting = [node]
        while waiting:
            node = waiting.pop()
            self.steps += 1
            found += node.here
            for child in node.children.values():
                found += child.below
                waiting.append(child)


def _meeting(node: _Node, level: str, *, first: bool) -> Iterator[_Node]:
    if level == "+":
        for text, child in node.children.items():
            if not (first and text.startswith("$")):
                yield child
        return
    for key in (level,) if first and level.startswith("$") else (level, "+"):
        if key in node.children:
            yield node.children[key]
