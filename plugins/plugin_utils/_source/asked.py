# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a statement asks of the environment, and where its absence ends it all. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TypeGuard

from .nodes import called as _called
from .nodes import keyword as _keyword
from .nodes import name as _name
from .nodes import text as _text

GETENV = ("getenv", "environ.get")
ENGINES = ("create_engine", "create_async_engine")
EITHER = ("Optional", "Union")
SOMETIMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.If, ast.IfExp, ast.Try, ast.BoolOp)


def getenv(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _name(node.func).endswith(GETENV)


def asks(node: ast.expr | None) -> str:
    """The variable that os.getenv() or os.environ.get() asks for without a default; '' for anything else."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return ""
    return (_name(node.func).endswith(GETENV) and _text(node.args[0])) or ""


READERS = {"decouple.config": 1, "decouple.Config": 1, "starlette.config.Config": 2, "environs.Env": 1}
"""What other libraries ask by, `config("KEY")` and `env.str("KEY")`, or the class of what does; and where in a call
of it the default is. Without one its absence ends it all."""
_KINDS = frozenset("bool bytes date datetime dict email enum float int json list log_level path str url uuid".split())


def reader(call: ast.Call, full: Callable[[str], str], values: Mapping[str, ast.expr]) -> int:
    """Where a call of such a library has its default; 0 for any other call.

    :param full: what a name of another package is there.
    :param values: what names stand for.
    """
    own, _dot, kind = _name(call.func).rpartition(".")
    whole = full(_name(call.func))
    if whole == "decouple.config":
        return READERS[whole]
    made = values.get(own if own and kind in _KINDS else _name(call.func))
    return READERS.get(full(_name(made.func)), 0) if isinstance(made, ast.Call) else 0


def default_of(call: ast.Call, place: int) -> ast.expr | None:
    """The default that such a call gives, None where it gives none."""
    return _keyword(call, "default") or (call.args[place] if len(call.args) > place else None)


def needs(node: ast.AST) -> set[str]:
    """Names without a value for which a statement ends it all: `if not url: raise`, `create_engine(url)`."""
    # An HTTPException is an answer to one request, and the app goes on.
    if isinstance(node, ast.If) and any(isinstance(e, ast.Raise) and "HTTP" not in ast.unparse(e) for e in node.body):
        parts = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
        return {
            name
            for part in parts
            if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not)
            for name in (_name(part.operand), *all_of(part))
        } | {
            _name(part.left)
            for part in parts
            if isinstance(part, ast.Compare) and ast.unparse(part).endswith(" is None")
        }
    if isinstance(node, ast.Call) and _called(node) in ENGINES and node.args:
        return {_name(node.args[0])}
    return set()


def compared(node: ast.AST) -> Iterator[tuple[ast.expr, list[str]]]:
    """What a comparison with texts compares, with these: `os.getenv("ENV") == "PROD"`, `env in ("a", "b")`."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return
    for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
        parts = other.elts if isinstance(other, (ast.Tuple, ast.List, ast.Set)) else [other]
        texts = [each for part in parts if (each := _text(part)) is not None]
        if texts and len(texts) == len(parts) and (asks(one) or _name(one)):
            yield one, texts


def pooled(call: ast.Call) -> bool:
    """Whether a call makes an asynchronous engine with a pool that SQLite's may not have."""
    sized = {each.arg for each in call.keywords} & {"pool_size", "max_overflow"}
    return _called(call) == "create_async_engine" and bool(call.args and sized)


def at_import(tree: ast.AST, calling: bool = False) -> Iterator[ast.AST]:
    """What runs in any case where a module is imported.

    :param calling: whether its functions are called then, too.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, SOMETIMES) or (calling and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield node
            waiting += ast.iter_child_nodes(node)


def handed(node: ast.AST) -> list[ast.expr]:
    """What an env.py of Alembic's hands on as the address of its database."""
    if isinstance(node, ast.Return) and node.value is not None:
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    return node.args[1:2] if _called(node) == "set_main_option" else [e.value for e in node.keywords if e.arg == "url"]


def uses(node: ast.AST, models: dict[str, ast.ClassDef]) -> list[ast.expr]:
    """What may not be None in a call: `int(port)`, `url.split()`, a model's field; and in a text with an address."""
    if isinstance(node, ast.JoinedStr) and any("://" in (_text(part) or "") for part in node.values):
        parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        return [
            part.args[0] if isinstance(part, ast.Call) and len(part.args) == 1 and not asks(part) else part
            for part in parts
        ]
    if not isinstance(node, ast.Call):
        return []
    if _called(node) == "FastAPI":
        # It asserts that it has both.
        return [each.value for each in node.keywords if each.arg in ("title", "version")]
    if _called(node) in ("int", "float", "loads", "quote", "quote_plus", "urlparse"):
        return node.args[:1]
    if _called(node) in models or _called(node) == "ConnectionConfig":
        rows = models[_called(node)].body if _called(node) in models else []
        may = {_name(e.target) for e in rows if isinstance(e, ast.AnnAssign) and "None" in kinds_of(e.annotation)}
        return [each.value for each in node.keywords if each.arg not in may]
    if _name(node.func) == "URL.create":
        return [each.value for each in node.keywords]
    return [node.func.value] if isinstance(node.func, ast.Attribute) else []


def all_of(test: ast.expr | None) -> list[str]:
    """The names in `all([user, password])`, or the contrary of it."""
    test = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else test
    inner = test.args[0] if isinstance(test, ast.Call) and _name(test.func) == "all" and test.args else None
    return [_name(part) for part in inner.elts] if isinstance(inner, (ast.List, ast.Tuple, ast.Set)) else []


def kinds_of(annotation: ast.expr) -> list[str]:
    """The alternatives of an annotation: `Optional[str]` is `str` or `None`."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*kinds_of(annotation.left), *kinds_of(annotation.right)]
    if isinstance(annotation, ast.Subscript) and (of := _name(annotation.value).rpartition(".")[2]) in EITHER:
        inner = annotation.slice
        found = [kind for part in (inner.elts if isinstance(inner, ast.Tuple) else [inner]) for kind in kinds_of(part)]
        return [*found, "None"] if of == "Optional" else found
    if text := _text(annotation):
        # A name that is defined further down.
        return [each.strip() for each in text.split("|")]
    return [ast.unparse(annotation)]
