"""YAML as catalogue files use it: every scalar is a text, except true, false, null and what would be a float.

YAML 1.1 reads NO as false, 08:00 as a number in base 60 and 0.10 as a float. In a tariff NO is Norway, 08:00 a time and
0.10 a mistake, so none of that happens here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # a build of PyYAML without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]


class Unquoted(str):
    """A number with a decimal point that was not quoted: YAML would read a float."""

    __slots__ = ()


class CatalogueLoader(_Base):
    """The loader of catalogue files; also for `yaml.compose`, to find line numbers."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own way to set them)


CatalogueLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), ["t", "f"])
CatalogueLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|~|)$"), ["n", "~", ""])
CatalogueLoader.add_implicit_resolver(
    "!float", re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?$"), list("-+.0123456789")
)
CatalogueLoader.add_constructor("!float", lambda _, node: Unquoted(node.value))


def parse(text: str) -> Any:
    """The values of one YAML document.

    Raises:
        yaml.YAMLError: it is no YAML; the error has the line.
    """
    return yaml.load(text, CatalogueLoader)  # noqa: S506  (a subclass of the safe loader)
