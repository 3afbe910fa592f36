"""Who coins may be moved to, when a transaction is looked at for its own sake: everybody."""

from __future__ import annotations

from collections.abc import Container


class _Anybody(Container[str]):
    def __contains__(self, _: object) -> bool:
        return True


ANYBODY: Container[str] = _Anybody()
