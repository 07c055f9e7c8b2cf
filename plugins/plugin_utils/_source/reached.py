# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which lines of a source the app may come to run, by the names that are used. Pure.

Names are not told apart by whose they are, so what is idle here is idle indeed, unless it is called by a name that is
made as the app runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from .nodes import name, text, walk

_IMPORTED = re.compile(rb"(?m)^[ \t]*(?:from[ \t]+[\w.]+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n]*)|import[ \t][^\n]*)")
_WORD = re.compile(rb"[A-Za-z_]\w*")
# What imports by a name that is made as it runs.
_ANY = re.compile(rb"\bimport_module\b|\b__import__\b|\bpkgutil\b")
# Whose workers import modules that the web needn't.
_QUEUES = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+(?:celery|arq|dramatiq|rq|taskiq|huey|apscheduler)\b")
# Decorators that call nothing by themselves; those of command lines are for people.
_PLAIN = frozenset(
    "abstractmethod asynccontextmanager cache cached_property classmethod command contextmanager deleter group "
    "lru_cache overload property setter staticmethod wraps".split()
)
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*[.:]([A-Za-z_]\w*)")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def idle_lines(
    trees: Mapping[str, ast.Module], contents: Mapping[str, bytes], served: Iterable[str]
) -> Callable[[str, int], bool]:
    """Whether nothing that the app runs comes to a line of a file.

    :param trees: of the files that were parsed.
    :param contents: of all files.
    :param served: files with an application. Without any all files count as run.
    """
    files = run_files(contents, served)
    waiting = [node for path, tree in trees.items() if path in files for node in _begin(tree)]
    named: dict[str, list[_Function]] = {}
    for path in files & trees.keys():
        for function, own in _functions(trees[path].body, ()):
            for each in own:
                named.setdefault(each, []).append(function)
    unparsed = (_IMPORTED.sub(_renamed, contents[path]) for path in files - trees.keys())
    words = {word.decode() for content in unparsed for word in _WORD.findall(content)}
    waiting += [function for word in words for function in named.pop(word, ())]
    reached = set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) not in reached:
            reached.add(id(node))
            waiting += [function for used in _uses(node) for function in named.pop(used, ())]
    ranges: dict[str, list[tuple[int, int]]] = {path: [(0, 1 << 30)] for path in trees.keys() - files}
    for path in files & trees.keys():
        idle: list[ast.stmt] = [each for each, _own in _functions(trees[path].body, ()) if id(each) not in reached]
        idle += [node for node in trees[path].body if _is_main(node)]
        ranges[path] = [(node.lineno, node.end_lineno or node.lineno) for node in idle]
    return lambda path, line: any(first <= line <= last for first, last in ranges.get(path, ()))


def run_files(contents: Mapping[str, bytes], served: Iterable[str]) -> set[str]:
    """Files that the applications, or a queue's workers, import, and what is imported by these."""
    begin = {path for path in served if path in contents}
    if not begin or any(_ANY.search(content) for content in contents.values()):
        return {*contents}
    called: dict[str, list[str]] = {}
    for path in contents:
        called.setdefault(path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2], []).append(path)
    found = set[str]()
    waiting = [*begin, *(path for path, content in contents.items() if _QUEUES.search(content))]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        words = {word.decode() for line in _IMPORTED.findall(contents[path]) for word in _WORD.findall(line)}
        waiting += [other for word in words for other in called.get(word, ())]
        parts = path.split("/")[:-1]
        above = ("/".join([*parts[:depth], "__init__.py"]) for depth in range(len(parts) + 1))
        waiting += [package for package in above if package in contents]
    return found


def _renamed(imports: re.Match[bytes]) -> bytes:
    """What of an import uses a name: to import one calls nothing, unless it is used by another name then."""
    return imports[0] if b" as " in imports[0] else b""


def _functions(body: Iterable[ast.stmt], above: tuple[str, ...]) -> Iterator[tuple[_Function, set[str]]]:
    """The functions of a module and its classes, each with the names whose use may call it. What is inside of one is
    a part of it.

    :param above: the name of the class, where something else may call all of its methods: Python itself those with
        underscores, and what it is derived from any.
    """
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own = {*above} if len(above) > 1 or node.name.startswith("__") else set[str]()
            yield node, {node.name, *own}
        elif isinstance(node, ast.ClassDef):
            # A second name says that it has bases.
            yield from _functions(node.body, (node.name, node.name) if node.bases else (node.name,))
        elif not _is_main(node):
            for inner in ("body", "orelse", "finalbody"):
                yield from _functions(getattr(node, inner, ()), above)
            for handler in getattr(node, "handlers", ()):
                yield from _functions(handler.body, above)


def _begin(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs where a module is imported, and the functions that something registers."""
    functions = {id(function): function for function, _own in _functions(tree.body, ())}
    for node in functions.values():
        for decorator in node.decorator_list:
            yield from walk(decorator)
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if name(called).rpartition(".")[2] not in _PLAIN:
                yield node
        yield from walk(node.args)
    yield from _outside(tree.body, functions.keys())


def _outside(body: Iterable[ast.AST], functions: Iterable[int]) -> Iterator[ast.AST]:
    """All nodes but those of functions and of what is run as a script alone."""
    functions = {*functions}
    waiting = [*body]
    while waiting:
        node = waiting.pop()
        if id(node) not in functions and not _is_main(node):
            yield node
            waiting += ast.iter_child_nodes(node)


def _is_main(node: ast.AST) -> bool:
    """if __name__ == "__main__":"""
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    return "__name__" in map(name, (node.test.left, *node.test.comparators))


def _uses(node: ast.AST) -> Iterator[str]:
    """The names that are used in a node: of a function's in all of it, of any other's in itself."""
    for part in walk(node) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else (node,):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.alias) and part.asname:
            yield part.name.rpartition(".")[2]
        elif isinstance(part, ast.Constant) and (match := _REFERENCE.fullmatch(text(part) or "")):
            yield match[1]
