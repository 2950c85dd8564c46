"""The files of the page, as the build of lunart bundled them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lunart.errors import EngineError

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "view.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "licenses.txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, whole."""

    content_type: str
    content: bytes


def load_assets(folder: Path = _FOLDER) -> dict[str, Asset]:
    """The page's files by name. Raises ``EngineError`` when lunart was built without npm."""
    missing = [name for name in _TYPES if not (folder / name).is_file()]
    if missing:
        raise EngineError(
            f"the page of luna-view is not built ({folder / missing[0]} is absent): lunart was "
            "built without npm. Install Node.js 18 or later with npm (Debian: apt-get install npm) "
            "and build again (make build, or pip install lunart from its sources)"
        )
    return {name: Asset(kind, (folder / name).read_bytes()) for name, kind in _TYPES.items()}
