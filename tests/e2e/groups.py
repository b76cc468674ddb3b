"""Which tests run in one worker, in order: those of a file, and all files that name one group.

    "file::test" -> the file's one pytest.mark.xdist_group("name"), else the file -> scope -> worker

A worker keeps its devnets, so files that share one belong together. xdist's own `--dist=loadgroup` puts a group into node ids,
which its release 3.8 no longer can with pytest 9.2; the sources say the same.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from xdist.scheduler.loadscope import LoadScopeScheduling

GROUP: Final = re.compile(r'xdist_group\("([^"]+)"\)')
"""As modules name theirs."""


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc, no-any-unimported]  # xdist is not typed for others
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0])


@cache
def group_of(file: Path) -> str:
    """The group that a file names, if it names one; the file itself otherwise."""
    names = set(GROUP.findall(file.read_text()))
    return names.pop() if len(names) == 1 else str(file)
