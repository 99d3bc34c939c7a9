"""Choose among the versions of a piece of an Office file that it holds for newer and older programs."""

from __future__ import annotations


class AlternateContent:
    """Follows the elements ``AlternateContent``, ``Choice`` and ``Fallback``, of which only one version is read.

    Source: ECMA-376, part 3.
    """

    def __init__(self) -> None:
        self._has_chosen: list[bool] = []  # for each open AlternateContent

    def start(self, name: str) -> bool:
        """Take a start tag; return whether the element repeats content that was read already."""
        if name == "AlternateContent":
            self._has_chosen.append(False)
        elif name == "Choice" and self._has_chosen:
            chosen, self._has_chosen[-1] = self._has_chosen[-1], True
            return chosen
        elif name == "Fallback":
            return bool(self._has_chosen and self._has_chosen[-1])
        return False

    def end(self, name: str) -> None:
        """Take the end tag of an element that was not left out."""
        if name == "AlternateContent" and self._has_chosen:
            self._has_chosen.pop()
