"""Pages of HTML from the templates beside this file, all in one style."""

from __future__ import annotations

import base64
import json
import platform
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from reports.drawing import Drawn

TEMPLATES = Path(__file__).with_name("templates")
PACKAGES = ("foretune", "numpy", "scipy", "pandas", "matplotlib")


def rendered(template: str, **content: Any) -> str:
    """A page from one of the templates; all names in it show as text, whatever signs they hold."""
    return _environment().get_template(template).render(style=_style(), versions=_versions(), **content)


def picture(figure: Drawn, alt: str) -> dict[str, Any]:
    """A drawn figure as the templates take it, its picture within the page itself."""
    content = base64.b64encode(figure.files["svg"]).decode()
    suffixes = ["pdf", "svg", "png"] + (["csv"] if figure.frame is not None else [])
    files = [(suffix.upper(), f"figures/{figure.name}.{suffix}") for suffix in suffixes]
    source = f"data:image/svg+xml;base64,{content}"
    return {"alt": alt, "caption": figure.caption, "source": source, "files": files, "inches": figure.inches}


def packed(content: Mapping[str, Any]) -> str:
    """Plain content for a script in a page: JSON, compressed as zlib does, in base 64, so that no name can end it."""
    plain = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(plain.encode(), 9)).decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> Markup:
    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))


@cache
def _versions() -> str:
    installed = {name: _version(name) for name in PACKAGES}
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {v}" for name, v in installed.items() if v)])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
