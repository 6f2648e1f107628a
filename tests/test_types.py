"""The house's measures: types everywhere, one class a name, few aliases, lengths, no circle."""

import ast
import collections
import functools
import pathlib

import jaxtyping
import numpy as np
import pytest
from beartype import roar

from pa_jax.english import words
from pa_jax.rl import advantage

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "pa_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))
FILE, FUNCTION, LOOP, ALIASES = 400, 60, 120, 15
LOOPS = ("train/loop.py:run", "jobs/training.py:run")  # a job's loop reads best from top to end


@functools.cache  # not at import: every worker imports this
def trees() -> dict[pathlib.Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in MODULES}


def named(path: pathlib.Path) -> str:
    return str(path.relative_to(PACKAGE))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef)]


def untyped(tree: ast.AST) -> list[str]:
    """Parameters and returns without a type; a method's own `self` or `cls` needs none."""
    static = {"staticmethod"}
    own = {
        x.args.posonlyargs[0] if x.args.posonlyargs else x.args.args[0]
        for of in ast.walk(tree)
        if isinstance(of, ast.ClassDef)
        for x in of.body
        if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef)
        and not static & {ast.unparse(d) for d in x.decorator_list}
    }
    found = []
    for x in functions(tree):
        a = x.args
        given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        found += [f"{x.name}({y.arg})" for y in given if y.annotation is None and y not in own]
        found += [f"{x.name} -> ?"] if x.returns is None else []
    return found


def aliases(tree: ast.AST) -> set[str]:
    found = set()
    for x in ast.walk(tree):
        if isinstance(x, ast.Import | ast.ImportFrom):
            before = f"{x.module}." if isinstance(x, ast.ImportFrom) else ""
            found |= {f"{before}{y.name} as {y.asname}" for y in x.names if y.asname}
    return found


def unexplained(classes: list[tuple[str, str, str]]) -> list[str]:
    """Of classes (module, name, docstring) of one name those that no other one's docstring names.

    All but one must be named, as `module.Name`, so that a reader of one learns of the others.
    """
    lonely = [
        f"{module}.{name}"
        for i, (module, name, _) in enumerate(classes)
        if not any(f"{module}.{name}" in text for _, _, text in classes[:i] + classes[i + 1 :])
    ]
    return lonely if len(lonely) > 1 else []


def imports(lazy: bool) -> dict[str, set[str]]:
    """Which module of the package imports which; `lazy`: inside functions too."""
    known = {
        ".".join(("pa_jax", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): tree
        for path, tree in trees().items()
    }

    def of(node: ast.AST) -> set[str]:
        found: set[str] = set()
        for x in ast.iter_child_nodes(node):
            if isinstance(x, ast.Import):
                found |= {y.name for y in x.names}
            elif isinstance(x, ast.ImportFrom):
                full = {y.name: f"{x.module}.{y.name}" for y in x.names}
                found |= {one if one in known else str(x.module) for one in full.values()}
            elif lazy or not isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= of(x)
        return found & known.keys()

    return {name: of(tree) - {name} for name, tree in known.items()}


def circles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """What is left when all that nobody in a circle needs is taken away, by what each reaches."""

    def reached(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in graph}
    return sorted(
        {
            tuple(sorted(other for other in seen if name in reach[other]))
            for name, seen in reach.items()
            if name in seen
        }
    )


def test_every_parameter_and_return_has_a_type():
    assert {named(path): left for path, tree in trees().items() if (left := untyped(tree))} == {}


def test_files_and_functions_are_short():
    lines = {named(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > FILE} == {}
    lengths = [
        (f"{named(path)}:{x.name}", (x.end_lineno or 0) - x.lineno + 1)
        for path, tree in trees().items()
        for x in functions(tree)
    ]
    allowed = dict.fromkeys(LOOPS, LOOP)
    assert [(x, n) for x, n in lengths if n > allowed.get(x, FUNCTION)] == []


def test_a_class_name_stands_twice_only_where_a_docstring_says_why():
    found = collections.defaultdict(list)
    for path, tree in trees().items():
        for x in ast.walk(tree):
            if isinstance(x, ast.ClassDef):
                found[x.name].append((path.stem, x.name, ast.get_docstring(x) or ""))
    assert {name: left for name, of in found.items() if (left := unexplained(of))} == {}


def test_few_imports_have_another_name():
    found = set().union(*map(aliases, trees().values()))
    assert len(found) <= ALIASES, sorted(found)


def test_no_module_needs_itself():
    assert circles(imports(lazy=True)) == []  # inside functions too


def test_types_are_checked_at_every_call_and_shapes_where_arrays_have_them(pytestconfig):
    *shaped, _ = pytestconfig.getoption("--jaxtyping-packages").split(",")
    annotated = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path, tree in trees().items()
        for x in ast.walk(tree)
        if isinstance(x, ast.ImportFrom) and x.module == "pa_jax.core.typing"
    }
    assert [x for x in annotated if not f"{x}.".startswith(tuple(f"{y}." for y in shaped))] == []
    with pytest.raises(roar.BeartypeCallHintParamViolation):
        words.tokens(3)
    cfg = advantage.RewardConfig("m:f", ("a",), (1.0,), "sum", True, 1e-4, "keep")
    scores, failed = np.zeros((1, 2, 1), np.float32), np.zeros((1, 2), bool)
    advantage.advantages(scores, failed, ~failed, cfg)
    with pytest.raises(jaxtyping.TypeCheckError):
        advantage.advantages(scores, failed, np.ones((1, 3), bool), cfg)


def test_the_measures_find_what_they_look_for():
    tree = ast.parse(
        "import a as b\nclass C:\n    def f(self, x): ...\n    def g(self) -> int: ..."
    )
    assert untyped(tree) == ["f(x)", "f -> ?"]
    assert aliases(tree) == {"a as b"}
    twice = [("one", "C", "A thing."), ("two", "C", "Another; `one.C` is the first.")]
    assert unexplained(twice) == []
    assert unexplained([(module, name, "") for module, name, _ in twice]) == ["one.C", "two.C"]
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [("b", "c")]
