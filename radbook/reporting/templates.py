"""The HTML that chapters show: templates in `radbook/resources/html`, where every value that is put in is escaped."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["Highlight", "render"]

_TEMPLATES = Environment(
    loader=PackageLoader("radbook", "resources/html"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Highlight:
    """HTML that a notebook displays; `html` is the fragment itself."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def render(template: str, **values: object) -> Highlight:
    """Fill in a template; a value that it names and does not get is an error.

    >>> render("fold.html", title="1 < 2", parts=["<p>inside</p>"]).html
    '<details class="radbook-fold"><summary>1 &lt; 2</summary><p>inside</p></details>'
    """
    return Highlight(_TEMPLATES.get_template(template).render(values))
