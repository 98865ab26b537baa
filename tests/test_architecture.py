"""The shape of the project holds: who may import whom, what runs alone, what has its test.

The import contracts stand in `pyproject.toml`. A contract that never fails proves nothing, so each
is broken here once, in a copy. What a contract cannot say (parts of a library, names that hold
secrets, paths of one machine) is read off the syntax trees.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("wire", "gateway", "peer", "bench")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: Final = {
    contract["id"]: contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]
}


def sources(*folders: str) -> list[Path]:
    """Return the Python files below `folders`, relative to the project."""
    return sorted(
        path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def module_name(path: Path) -> str:
    """Return the name by which the file is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


CODE: Final = sources(*PACKAGES)
GATEWAY: Final = sources("wire", "gateway")
MODULES: Final = [module_name(path) for path in CODE]


# Who may import whom


@dataclass(frozen=True, slots=True)
class Trespass:
    """A module that must not be, and what the linter says about it."""

    contract: str
    path: str
    source: str
    said: str


def _trespass(contract: str, package: str, imported: str) -> Trespass:
    name = f"trespass_{imported.replace('.', '_')}"
    path = f"{package.replace('.', '/')}/{name}.py"
    shown = imported.partition(".")[0] if imported.partition(".")[0] not in PACKAGES else imported
    said = f"- {package}.{name} -> {shown} (l.1)"
    return Trespass(contract, path, f"import {imported}\n", said)


TRESPASSES: Final = [
    _trespass("sides", "gateway.mailbox", "peer.keys"),
    _trespass("sides", "peer.ways", "gateway.errors"),
    _trespass("sides", "wire", "gateway.errors"),
    _trespass("sides", "wire", "peer.keys"),
    _trespass("sides", "wire", "bench.figures"),
    _trespass("outside", "bench", "gateway.config"),
    _trespass("outside", "bench", "peer.keys.letters"),
    *(
        _trespass("pure", "wire", imported)
        for imported in ("asyncio", "socket", "sqlite3", "time", "random", "secrets", "logging")
    ),
    _trespass("gateway-layers", "gateway.mailbox", "gateway.sync"),
    _trespass("gateway-layers", "gateway.sync", "gateway.mailbox.store"),
    _trespass("gateway-layers", "gateway.push", "gateway.mailbox.store"),
    _trespass("gateway-layers", "gateway.relay", "gateway.app"),
    _trespass("gateway-layers", "gateway.database", "gateway.mailbox.rules"),
    Trespass("gateway-layers", "gateway/drawer.py", "", "- gateway.drawer"),
    _trespass("peer-layers", "peer.keys", "peer.ways"),
    _trespass("peer-layers", "peer.items", "peer.store"),
    Trespass("peer-layers", "peer/drawer.py", "", "- peer.drawer"),
    _trespass("blind", "gateway.relay", "doubleratchet"),
    _trespass("blind", "gateway.relay", "peer.keys.envelope"),
    _trespass("blind", "wire", "doubleratchet"),
    _trespass("opening", "gateway.relay", "nacl.secret"),
    _trespass("opening", "wire", "nacl.bindings"),
    _trespass("base", "gateway.push", "pyfcm"),
    _trespass("base", "gateway.lan", "zeroconf"),
    _trespass("base", "gateway.relay", "aiohttp"),
    _trespass("one-sqlite", "gateway.database", "apsw"),
    _trespass("one-sqlite", "gateway.database", "sqlcipher3"),
    _trespass("one-sqlite", "peer.items", "sqlcipher3"),
    _trespass("phones-sqlite", "peer.people", "sqlite3"),
    _trespass("phones-sqlite", "peer.people", "sqlcipher3"),
    _trespass("sealing", "peer.items", "nacl.secret"),
    _trespass("sealing", "peer.ways", "doubleratchet"),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the project in `folder`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "400"},  # one line is one finding
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says about a copy with all trespasses, by the name of the contract."""
    copy = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    for trespass in TRESPASSES:
        (copy / trespass.path).write_text(trespass.source, encoding="utf-8")
    report = lint_imports(copy).stdout
    details = report.partition("Broken contracts\n")[2]
    names = "|".join(re.escape(name) for name in CONTRACTS.values())
    parts = re.split(rf"^({names})\n-+$", details, flags=re.MULTILINE)
    return {
        name: re.sub(" +", " ", part) for name, part in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_import_contracts_hold() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "trespass", TRESPASSES, ids=lambda one: f"{one.contract}-{Path(one.path).stem}"
)
def test_a_trespass_breaks_its_contract(broken: dict[str, str], trespass: Trespass) -> None:
    assert trespass.said in broken[CONTRACTS[trespass.contract]]


def test_every_contract_is_broken_once() -> None:
    assert {trespass.contract for trespass in TRESPASSES} == set(CONTRACTS)


# What a contract cannot say, because a linter of imports sees only whole libraries


def imports(module: ast.Module) -> set[str]:
    """Return the full names that a module imports: `nacl.signing.SigningKey`, `nacl.utils`."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


SIGNATURES: Final = ("nacl.signing.", "nacl.exceptions.")
"""All that the gateway and wire may take from PyNaCl: with signatures nothing can be opened."""
CERTIFICATES: Final = (
    "cryptography.x509",
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.utils",
)
"""What it takes to make a TLS certificate and to read one, and to sign for push services."""
DICE: Final = {"random", "numpy.random"}
"""Randomness that can be guessed. Ours comes from `secrets` and `nacl.utils.random`."""


def openers(module: ast.Module) -> set[str]:
    """Return what a module imports from the two libraries that could seal and open."""
    return {
        name
        for name in imports(module)
        if name.split(".")[0] in ("nacl", "cryptography")
        and not name.startswith((*SIGNATURES, *CERTIFICATES))
    }


BACKUPS: Final = Path("gateway/backup.py")
"""The one file of the gateway that opens anything: what the gateway itself has sealed."""


PUSHES: Final = Path("gateway/push/sealing.py")
"""The one that seals something for others: "collect now", for a phone that is asleep."""


def test_the_gateway_takes_nothing_from_a_library_that_could_open() -> None:
    found = {path: openers(tree(path)) for path in GATEWAY}

    assert {path for path, names in found.items() if names} == {BACKUPS, PUSHES}
    assert found[BACKUPS] == {"nacl.bindings", "nacl.pwhash.argon2id"}
    assert found[PUSHES] == {"cryptography.hazmat.primitives.ciphers.aead.AESGCM"}


def test_pushes_are_sealed_and_nothing_is_opened_there() -> None:
    used = {node.attr for node in ast.walk(tree(PUSHES)) if isinstance(node, ast.Attribute)}

    assert "encrypt" in used
    assert "decrypt" not in used


def test_only_streams_are_opened_in_backups() -> None:
    used = {
        node.attr
        for node in ast.walk(tree(BACKUPS))
        if isinstance(node, ast.Attribute) and name_of(node.value) == "bindings"
    }

    assert used
    assert {name for name in used if "secretstream" not in name} == set()


def test_a_phone_seals_and_opens_in_one_folder_only() -> None:
    elsewhere = [path for path in sources("peer") if path.parts[1] != "keys"]

    assert {path: found for path in elsewhere if (found := openers(tree(path)))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import nacl",
        "import nacl.secret",
        "from nacl import public",
        "from nacl.bindings import crypto_secretbox_open",
        "from cryptography.hazmat.primitives.ciphers import Cipher",
        "from cryptography.hazmat.primitives.asymmetric import x25519",
    ],
)
def test_an_import_that_could_open_is_seen(line: str) -> None:
    assert openers(ast.parse(f"def lazily():\n    {line}"))


def test_nothing_is_drawn_from_guessable_dice() -> None:
    assert [path for path in CODE if imports(tree(path)) & DICE] == []


def test_nothing_is_imported_behind_the_contracts_back() -> None:
    assert [
        path
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and name_of(node.func) in ("__import__", "import_module", "eval", "exec")
    ] == []


def test_commands_open_the_phone_with_its_lock_in_mind() -> None:
    """Through `call.phone` or `new_phone`: what opens it by itself stands before a sealed file."""
    commands = [Path("peer/cli.py"), *sources("peer/commands")]
    openers = [path.stem for path in commands if "peer.app.open_peer" in imports(tree(path))]

    assert openers == ["call", "lock"]


# Secrets

SECRET: Final = re.compile(
    r"(^|_)(secret|proof|bearer|token|password|seed|mac|tag|ikm|shared)s?(_bytes)?$"
)
"""Names that hold what must not be compared in a time that tells how much of it was right."""
PUBLIC: Final = re.compile(r"^[A-Z_]+$")
"""Constants: lengths, formats, table names."""


def name_of(node: ast.expr) -> str:
    """Return the last name of an expression such as `self.lane.secret`, or nothing."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def holds_secret(node: ast.expr) -> bool:
    """Return whether the expression's name says that it is a secret."""
    name = name_of(node)
    return bool(SECRET.search(name)) and not PUBLIC.match(name)


def unsafe_comparisons(module: ast.Module) -> Iterator[str]:
    """Yield the comparisons of secrets with `==` or `!=`."""
    for node in ast.walk(module):
        match node:
            case ast.Compare(ops=[ast.Eq() | ast.NotEq()], left=left, comparators=[right]):
                if holds_secret(left) or holds_secret(right):
                    yield ast.unparse(node)


def logged_secrets(module: ast.Module) -> Iterator[str]:
    """Yield the calls that hand a secret to the log."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger" | "logging"))):
                inside = [part for value in node.args for part in ast.walk(value)]
                if any(isinstance(part, ast.expr) and holds_secret(part) for part in inside):
                    yield ast.unparse(node)


def test_secrets_are_compared_in_constant_time() -> None:
    assert {path: found for path in CODE if (found := list(unsafe_comparisons(tree(path))))} == {}


def test_no_secret_is_handed_to_the_log() -> None:
    assert {path: found for path in CODE if (found := list(logged_secrets(tree(path))))} == {}


def test_a_careless_comparison_and_a_careless_log_line_are_seen() -> None:
    careless = ast.parse("if login.bearer == given: log.info('came with %s', login.bearer)")

    assert list(unsafe_comparisons(careless)) == ["login.bearer == given"]
    assert list(logged_secrets(careless)) == ["log.info('came with %s', login.bearer)"]


# Modules, one by one

ALONE: Final = """
import importlib, json, os, sys
for library in json.loads(sys.argv[2]):
    importlib.import_module(library)
for name in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        importlib.import_module(name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""
"""Imports every module in a process of its own that has seen none of ours, only libraries."""
LIBRARIES: Final = ("quart", "hypercorn", "nacl.signing", "cbor2", "doubleratchet", "aiohttp")
"""Loaded once for all, because they are slow and their order is not our concern."""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter that takes warnings for errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_imports_alone() -> None:
    result = python(ALONE, json.dumps(MODULES), json.dumps(LIBRARIES))

    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_every_module_has_its_test_file() -> None:
    missing = [
        f"{path} wants {wanted}"
        for path in CODE
        if path.stem not in ("__init__", "__main__")
        and not (ROOT / (wanted := Path("tests", path.parent, f"test_{path.name}"))).exists()
    ]

    assert missing == []


def test_every_test_file_is_found_by_pytest() -> None:
    folders = {path.parent for path in sources("tests")}

    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


# The base install

WITHOUT: Final = """
import importlib, json, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the base install")

before, absent = set(sys.modules), set(json.loads(sys.argv[2]))
sys.meta_path.insert(0, Absent())
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
"""Imports modules where some libraries are absent; prints what was loaded."""


def closure(requirements: list[str]) -> set[str]:
    """Return the names of all distributions that pip would install for `requirements`."""
    found: set[str] = set()
    wanted = [Requirement(one) for one in requirements]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        try:
            needs = [Requirement(one) for one in requires(name) or []]
        except PackageNotFoundError:  # for another platform
            continue
        extras = requirement.extras or {""}
        wanted += [
            need
            for need in needs
            if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found


def absent_in_base() -> list[str]:
    """Return the top-level modules installed here that the base install does not bring."""
    base = closure(PROJECT["project"]["dependencies"]) | {"homepost"}
    return [
        name
        for name, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & base and name not in PACKAGES
    ]


def loaded_without(absent: list[str], *modules: str) -> Any:
    """Import `modules` where `absent` is not there; return the top-level modules then loaded."""
    result = python(WITHOUT, json.dumps(modules), json.dumps(absent))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_gateway_imports_with_the_base_install_alone() -> None:
    absent = absent_in_base()

    loaded = loaded_without(absent, *map(module_name, GATEWAY))

    assert {"aiohttp", "doubleratchet", "zxingcpp", "pytest"} <= set(absent)
    assert not set(loaded) & set(absent)


def test_a_phone_loads_one_sqlite_in_whichever_way_it_got_it() -> None:
    with_it = loaded_without([], "peer.cli")
    without = loaded_without(["sqlcipher3"], "peer.cli")

    assert {"sqlite3", "sqlcipher3"} & set(with_it) == {"sqlcipher3"}
    assert {"sqlite3", "sqlcipher3"} & set(without) == {"sqlite3"}


def test_a_test_opens_a_phones_file_with_the_phones_sqlite() -> None:
    """In one process another one would end its locks, and the phone then loses what it writes."""
    opening = [path for path in sources("tests") if "peer.store.FILE_NAME" in imports(tree(path))]

    assert opening
    assert [path for path in opening if "sqlite3" in imports(tree(path))] == []


def test_a_running_gateway_holds_no_library_that_it_does_not_need() -> None:
    loaded = loaded_without([], "gateway.cli", "gateway.service")

    heavy = {"cryptography", "doubleratchet", "aiohttp", "zeroconf", "pyfcm", "requests", "PIL"}
    assert not heavy & set(loaded)
    assert "quart" in loaded


# The machine on which this was written

ELSEWHERE: Final = re.compile(
    r"(?<![\w.])/(?:work|root|tmp|opt/pypi)/|\.\./shared|"
    r"\b(?:design|style|threats|platform|crypto|social|push)\.md\b|faults\.tsv|seed\.txt"
)


def test_nothing_names_a_place_that_others_do_not_have() -> None:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"{name}: {hit[0]}"
        for name in listed.stdout.split("\0")
        if (path := ROOT / name).is_file() and path != Path(__file__)
        for hit in ELSEWHERE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]

    assert found == []
