"""The library behind sortable tables, shipped with the book as one file, so that no page needs a looser policy.

In a notebook, itables brings DataTables as base64 inside a script and imports it from a blob.
A page whose policy allowed blobs could run whatever a script wrote, and a page opened as a file may not load a module at all.
So staging replaces that script by a reference to a plain script of the book, and the book gets the same library as that file.
"""

import re
from pathlib import Path

from radbook.core.errors import RadbookError

__all__ = ["add_library", "refer_to_library"]

FOLDER = "_static/datatables"
_REFERENCE = f'<link rel="stylesheet" href="../{FOLDER}/dt_bundle.css"><script src="../{FOLDER}/dt_bundle.js"></script>'
# With the note behind it, which asks readers without scripts to trust a notebook that they do not have.
_LOADER = re.compile(
    r"<script>\s*function injectCSS\(.*?</script>(?:\s*<div[^>]*>\s*<noscript>.*?</noscript>\s*</div>)?",
    re.DOTALL,
)
_EXPORT = re.compile(r"\bexport\s*\{([^}]*)\};?")


def refer_to_library(html: str) -> str:
    """Replace the script with which itables loads its library by a reference to the book's copy; other HTML stays as it is.

    Raises
    ------
    RadbookError
        If the notebook was executed with another version of itables than the one the book would ship.

    Examples
    --------
    >>> refer_to_library("<b>no table</b>")
    '<b>no table</b>'
    """
    loader = _LOADER.search(html)
    if loader is None:
        return html
    if f"window.{_name()}." not in loader[0]:
        raise RadbookError(
            f"a sortable table was made by another itables than {_version()}: execute its chapter again"
        )
    return html.replace(loader[0], _REFERENCE)


def add_library(site: Path) -> None:
    """Write the library into a built site if one of its notebook pages refers to it."""
    pages = (site / "notebooks").glob("*.html")
    if not any(_REFERENCE in page.read_text(encoding="utf-8") for page in pages):
        return
    from itables import options

    bundle = Path(options.dt_bundle)
    folder = site / FOLDER
    folder.mkdir(parents=True)
    (folder / "dt_bundle.js").write_text(_plain_script(bundle.read_text(encoding="utf-8")), encoding="utf-8")
    style = bundle.with_suffix(".css").read_text(encoding="utf-8")
    (folder / "dt_bundle.css").write_text(style, encoding="utf-8")


def _plain_script(module: str) -> str:
    """Turn the module into a script that any page may load: what it exports becomes the value the tables wait for.

    >>> "return { ITable: a, default: b };" in _plain_script("var a=1,b=2;export{a as ITable,b as default};")
    True
    """
    exports = _EXPORT.findall(module)
    if len(exports) != 1:
        raise RadbookError(
            f"itables {_version()} brings a library of another form: radbook.book.datatables has to learn it"
        )
    pairs = (part.partition(" as ") for part in exports[0].split(","))
    names = ", ".join(f"{shown or name}: {name}" for name, _, shown in pairs)
    body = _EXPORT.sub("", module)
    return f'window.{_name()} = (async () => {{ "use strict";\n{body}\nreturn {{ {names} }};\n}})();\n'


def _name() -> str:
    return f"_itables_{_version().replace('.', '_').replace('-', '_')}"


def _version() -> str:
    from itables import __version__

    return __version__
