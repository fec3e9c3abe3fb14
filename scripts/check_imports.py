"""Checks the direction of imports inside the package: the tree of ARCHITECTURE.md, read from the syntax alone.

- A module imports only modules of its own layer's allowed layers (LAYERS below).
- There is no cycle of modules.
- Nobody imports an adapter: registry.py names it as "module:Class" and loads it when it is asked for. Every such name
  must exist. An adapter may be several files; the others of its package serve it, and only that package.
- No import of ours inside a function, and no importlib outside registry.py.

    check_imports.py [SRC]      SRC holds the package (default: src); exit 1 and one line per finding
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "headrace"
PORTS = ("sources", "log", "stores", "models", "redaction", "objects")

# Layer -> what it may import besides itself. First match of MEMBERS names a module's layer.
LAYERS: dict[str, frozenset[str]] = {
    "ground": frozenset(),
    "settings": frozenset({"ground"}),
    "port": frozenset({"ground", "settings"}),
    "adapter": frozenset({"ground", "settings", "port"}),
    "domain": frozenset({"ground", "settings", "port"}),
    "answer": frozenset({"ground", "settings", "port", "domain"}),
    "ops": frozenset({"ground", "settings", "port"}),
    "engine": frozenset({"ground", "settings", "port", "ops"}),
    "evaluation": frozenset({"ground", "settings", "port", "domain", "answer"}),
    "app": frozenset({"ground", "settings", "port", "domain", "answer", "ops", "engine"}),
    "server": frozenset({"ground", "settings", "port", "domain", "answer", "ops", "engine", "app"}),
    "running": frozenset({"ground", "settings", "port", "app", "server"}),
    "demo": frozenset({"ground", "settings", "port", "app", "server", "running"}),
    "integration": frozenset({"ground", "settings"}),
    "cli": frozenset({"ground", "settings", "port", "answer", "app", "server", "running", "demo", "ops", "evaluation"}),
}
MEMBERS: tuple[tuple[str, str], ...] = (
    (
        r"(__init__|access|change|described|metadata|place|position|ticket|token|codec|envelope|errors|findings)",
        "ground",
    ),
    (r"(breaker|clock|courtesy|link|sqlfile|stemming)", "ground"),
    (r"envelopes(\..+)?", "ground"),
    (r"(config|registry)(\..+)?", "settings"),
    (r"redaction(\.(checks|echoes|overlap|policy))?", "port"),
    (rf"({'|'.join(PORTS)}|operators|inbox|uploads)", "port"),
    (r"stores\.(audit|beside|conditions|conversations|dead_letters|knowledge|profiles|stock|told|values)", "port"),
    (rf"({'|'.join(PORTS)})\..+", "adapter"),
    (r"(knowledge|profiles)(\..+)?", "domain"),
    (r"answer(\..+)?", "answer"),
    (r"ops(\..+)?", "ops"),
    (r"engines(\..+)?", "engine"),
    (r"integrations(\..+)?", "integration"),
    (r"evaluation(\..+)?", "evaluation"),
    (r"(app|folder|embedding|reranking)(\..+)?", "app"),
    (r"server(\..+)?", "server"),
    (r"running|inprocess|announcing|diagnosis", "running"),
    (r"demo(\..+)?", "demo"),
    (
        r"(cli|client|limiting|measuring|pushing|uploading|redacting|showing(_documents|_verify)?|__main__)(\..+)?",
        "cli",
    ),
)


@dataclass(frozen=True, slots=True)
class Import:
    """An import of one of our modules; `late`: inside a function, `missing`: there is no such module."""

    target: str
    line: int
    late: bool
    missing: bool


@dataclass(slots=True)
class Module:
    """A module by its name below the package (`sources.postgres`; the package itself is `__init__`)."""

    name: str
    path: Path
    tree: ast.Module
    imports: list[Import] = field(default_factory=list[Import])

    @property
    def layer(self) -> str | None:
        return next((layer for pattern, layer in MEMBERS if re.fullmatch(pattern, self.name)), None)

    @property
    def package(self) -> str:
        """The port's package that an adapter belongs to."""
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def main(arguments: list[str]) -> int:
    """Print the findings; returns 1 when there are any."""
    src = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent / "src"
    modules = load(src)
    findings = sorted(check(modules), key=lambda finding: (str(finding.path), finding.line))
    for finding in findings:
        print(finding)
    if not findings:
        print(f"imports: {len(modules)} modules, {sum(len(m.imports) for m in modules.values())} imports in order")
    return 1 if findings else 0


def load(src: Path) -> dict[str, Module]:
    """Parse every module of the package below `src`."""
    root = src / PACKAGE
    modules: dict[str, Module] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        modules[name] = Module(name, path, ast.parse(path.read_text(), str(path)))
    for module in modules.values():
        module.imports.extend(_imports(module, modules))
    return modules


def check(modules: dict[str, Module]) -> Iterator[Finding]:
    """Every breach of the rules above."""
    for module in modules.values():
        if module.layer is None:
            yield Finding(module.path, 1, f"{module.name} belongs to no layer: add it to MEMBERS")
            continue
        yield from _direction(module, modules)
        yield from _late(module)
    yield from _cycles(modules)
    yield from _registered(modules)


def _imports(module: Module, modules: dict[str, Module]) -> set[Import]:
    found: set[Import] = set()
    for node, late in _walk(module.tree, late=False):
        for name, of in _named(module, node):
            if of == PACKAGE or of.startswith(f"{PACKAGE}."):
                target, needed = (_known(dotted.removeprefix(PACKAGE).lstrip("."), modules) for dotted in (name, of))
                missing = needed != (of.removeprefix(PACKAGE).lstrip(".") or "__init__")
                found.add(Import(of if missing else target, getattr(node, "lineno", 1), late, missing))
    return found


def _named(module: Module, node: ast.AST) -> list[tuple[str, str]]:
    """(full name imported, the part of it that must be a module)."""
    if isinstance(node, ast.Import):
        return [(alias.name, alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _base(module, node)
        return [(f"{base}.{alias.name}", base) for alias in node.names]
    return []


def _walk(node: ast.AST, *, late: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, late
        inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, late=inside)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    is_package = module.path.name == "__init__.py"
    parts = [PACKAGE, *module.name.split(".")] if module.name != "__init__" else [PACKAGE]
    kept = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _known(name: str, modules: dict[str, Module]) -> str:
    """The longest prefix of a dotted name that is a module: the rest are names inside it."""
    parts = name.split(".") if name else []
    while parts and ".".join(parts) not in modules:
        parts.pop()
    return ".".join(parts) or "__init__"


def _direction(module: Module, modules: dict[str, Module]) -> Iterator[Finding]:
    layer = module.layer or ""
    adapters = {name for _, _, name, _ in _names_in_registry(modules)}
    for each in module.imports:
        if each.missing:
            yield Finding(module.path, each.line, f"{each.target} does not exist")
        target = modules.get(each.target)
        if target is None or target.layer is None or target.name == module.name:
            continue
        if layer == "adapter" and target.layer == "adapter":
            if module.name.startswith(f"{target.name}."):  # its own folder
                continue
            if target.package != module.package or target.name in adapters:
                yield Finding(module.path, each.line, f"adapter {module.name} imports adapter {target.name}")
        elif target.layer != layer and target.layer not in LAYERS[layer]:
            yield Finding(module.path, each.line, f"{layer} {module.name} imports {target.layer} {target.name}")


def _late(module: Module) -> Iterator[Finding]:
    for each in module.imports:
        if each.late:
            yield Finding(module.path, each.line, f"{each.target} is imported inside a function")
    if module.package == "registry":
        return
    for node in ast.walk(module.tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "importlib":
            names = [f"importlib.{alias.name}" for alias in node.names]
        if any(name in {"importlib", "importlib.import_module"} for name in names):
            yield Finding(module.path, getattr(node, "lineno", 1), "importlib: only registry.py loads modules by name")


def _cycles(modules: dict[str, Module]) -> Iterator[Finding]:
    edges = {name: {i.target for i in module.imports} - {name} for name, module in modules.items()}
    for cycle in _strongly_connected(edges):
        yield Finding(modules[cycle[0]].path, 1, f"import cycle: {' -> '.join([*cycle, cycle[0]])}")


def _strongly_connected(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other."""
    reach = {name: _reachable(name, edges) for name in edges}
    groups: list[list[str]] = []
    seen: set[str] = set()
    for name in edges:
        if name in seen or name not in reach[name]:
            continue
        group = sorted(other for other in reach[name] if name in reach[other])
        seen.update(group)
        groups.append(group)
    return groups


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(edges.get(name, ()))
    return found


def _registered(modules: dict[str, Module]) -> Iterator[Finding]:
    """Every "module:Name" that registry.py holds must exist."""
    for path, line, name, attribute in _names_in_registry(modules):
        if not _defines(modules.get(name), attribute):
            yield Finding(path, line, f"{PACKAGE}.{name}:{attribute} does not exist")


def _names_in_registry(modules: dict[str, Module]) -> Iterator[tuple[Path, int, str, str]]:
    for module in modules.values():
        if module.package == "registry":
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    match = re.fullmatch(rf"{PACKAGE}\.([\w.]+):(\w+)", node.value)
                    if match:
                        yield module.path, node.lineno, match[1], match[2]


def _defines(module: Module | None, name: str) -> bool:
    return module is not None and name in set(_defined(module.tree.body))


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
