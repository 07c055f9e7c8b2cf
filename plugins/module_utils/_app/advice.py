# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to write for the usual reasons why an app doesn't start; the sandbox's are in sandbox.py. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from .raised import MISSING, Trace, own, refused, traces

_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libcairo.so.2": "libcairo2",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libmagic.so.1": "libmagic1",
    "libmariadb.so.3": "libmariadb3",
    "libodbc.so.2": "libodbc2",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libportaudio.so.2": "libportaudio2",
    "libpq.so.5": "libpq5",
    "libsndfile.so.1": "libsndfile1",
    "libvips.so.42": "libvips42",
    "libxcb.so.1": "libxcb1",
    "libzbar.so.0": "libzbar0",
}
"""Debian's package of what Python packages expect to be there."""
_PROGRAMS = {
    "convert": "imagemagick",
    "dot": "graphviz",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "gs": "ghostscript",
    "libreoffice": "libreoffice",
    "pandoc": "pandoc",
    "pdfinfo": "poppler-utils",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pg_dump": "postgresql-client",
    "poppler": "poppler-utils",
    "soffice": "libreoffice",
    "tesseract": "tesseract-ocr",
    "wkhtmltopdf": "wkhtmltopdf",
}
"""Debian's package of the programs that Python packages call."""
_NO_PROGRAM = re.compile(
    r"(\w+) is not installed or it's not in your PATH|Is (\w+) installed and in PATH|No (\w+) executable found|"
    r"No such file or directory: '(\w+)'|[Cc]ouldn't find (ffmpeg|ffprobe)\b"
)
PACKAGES = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "argon2": "argon2-cffi",
    "bs4": "beautifulsoup4",
    "bson": "pymongo",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "email_validator": "pydantic[email]",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "multipart": "python-multipart",
    "pkg_resources": "setuptools<81",
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socketio": "python-socketio",
    "yaml": "PyYAML",
}
"""What a requirements file calls a module that has another name."""
_DRIVERS = {"psycopg": "postgresql+psycopg2://", "psycopg2": "postgresql+psycopg://", "MySQLdb": "mysql+pymysql://"}
"""What SQLAlchemy takes for a URL that names none, which 2.1 has changed; and how another one is named."""
# An app's own words for a variable that it lacks: "DATABASE_URL is not set", "Missing environment variable SECRET_KEY".
_UNSET = re.compile(
    r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b[^.\n]{0,40}\b(?:not (?:set|found|defined|configured|provided)|unset|missing|"
    r"required|must be (?:set|given|defined|provided))\b|"
    r"(?:^|[.:;,] )(?:[Mm]issing|(?:[Pp]lease )?[Ss]et)\b[^.\nA-Z]{0,40}\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b"
)
_TYPES = ("str", "int", "float", "bool", "bytes", "none", "url", "date", "datetime", "decimal")
_CERTIFICATE = re.compile(r"cafile|certfile|keyfile|load_cert_chain|load_verify_locations")
_NO_NAME = "Name or service not known|[Nn]ame resolution|could not translate host name|Failed to resolve"
_NO_WAY = re.compile(
    rf"{_NO_NAME}|couldn't connect to|[Nn]etwork is unreachable|Connection refused|Max retries|timed out|[Tt]imeout"
)
_HUBS = r"\b(huggingface\.co|hf\.co|download\.pytorch\.org|openaipublic\.blob\.core\.windows\.net|modelscope\.cn)\b"
_LOADERS = r"/site-packages/(huggingface_hub|torch/hub|tiktoken|whisper|easyocr|fastembed)\b"
"""Where models come from that an app loads by a name, and what fetches them."""
_SECRET = re.compile(
    r"(?i)\.(pem|key|crt|cer|p12|pfx|jks)$|secret|credential|service[-_]?account|firebase|token|\.env$"
)
_WORDS = (
    (
        r"Failed to find attribute '([^']+)' in '([^']+)'",
        r"\2 has no \1: write fastapi_app: module:name with the name that it has.",
    ),
    (
        "partially initialized module",
        "Two modules import each other: move one of the imports into the function that needs it.",
    ),
    (
        "password authentication failed|Access denied for user|(WRONGPASS|NOAUTH)",
        "The database refuses the user or the password: set them in fastapi_env, as the app calls them.",
    ),
    (
        "pg_type_typname_nsp_index|UNIQUE constraint failed|UniqueViolation|Duplicate entry .* for key|"
        "table .* already exists",
        "What the app makes or fills in the database as it starts is there already: each worker does that, and at any "
        "start but an app's first several at once. Where it looks first, as create_all() does, run it once more; else "
        "have it look first, or have it done by fastapi_before_swap, which runs once for a release.",
    ),
    (
        "[Aa]ddress already in use",
        "The app opens a port of its own, which another worker or slot may have. Leave listening to Gunicorn: no "
        "uvicorn.run() where the module is imported.",
    ),
    (
        "os error 30",
        "The app writes where it may only read: what it keeps belongs in fastapi_shared_paths, and its "
        "home and TMPDIR are writable.",
    ),
)
"""What an app says, and what to write."""
_NO_TABLE = r"[Nn]o such table|UndefinedTable|relation \"[^\"]+\" does not exist|Table '[^']+' doesn't exist"


def advice(
    said: str,
    root: str = "/srv/NAME",
    shared: Sequence[str] = (),
    settings: Mapping[str, Sequence[str]] | None = None,
    hosts: Mapping[str, str] | None = None,
) -> str:
    """What to write, a sentence or two for each reason; '' where none is known.

    :param said: why it failed, and its last lines.
    :param root: the app's directory.
    :param shared: what fastapi_shared_paths should have, with the files that the source is seen to write.
    :param settings: by what pydantic calls a setting, the variables that it has by the source.
    :param hosts: by the names of containers that are defaults in the source, the variable that each is the default of.
    """
    found, read, hosts = list[str](), traces(said), hosts or {}
    found += _settings(said, read, settings or {})
    files = [own(path) for trace in read for path, _line, _code in trace.frames]
    for name in dict.fromkeys(re.findall(r"ModuleNotFoundError: No module named '([\w.]+)'", said)):
        frames = [trace.frames for trace in read if trace.what == f"No module named '{name}'" and trace.frames]
        of_package = any(
            re.match(rf"(from|import)\s+{re.escape(name)}\b", each[-1][2]) and not own(each[-1][0]) for each in frames
        )
        # Gunicorn alone is told the app's name. Whoever else is told one, as of a pool, asks for a package.
        calls = [code for each in frames for path, _line, code in each if "/gunicorn/" in path]
        of_package |= bool(frames) and not re.search(r"import_app\(|import_module\(module\)", "\n".join(calls))
        found.append(_module(name, [file for file in files if file], of_package))
    for name in dict.fromkeys(re.findall(r"\b(lib[\w+.-]+\.so(?:\.[0-9]+)*): cannot open shared object", said)):
        write = f"Find its package (apt-file search {name}), and name it in fastapi_packages."
        if package := _LIBRARIES.get(name):
            write = f"Write fastapi_packages: [{package}]."
        found.append(f"The host has no {name}. {write}")
    programs = {_PROGRAMS[name]: name for match in _NO_PROGRAM.findall(said) for name in match if name in _PROGRAMS}
    if programs:
        found.append(
            f"The host has no {' and no '.join(programs.values())}. Write fastapi_packages: [{', '.join(programs)}]."
        )
    if "failed to find libmagic" in said:
        found.append("The host has no libmagic. Write fastapi_packages: [libmagic1].")
    code = {os.path.dirname(file) for file in files if file}
    missing = r"(?:No such file or directory: ['\"]|CredentialsError: File )([^'\"\n]+?)(?:['\"]| was not found)"
    for path in dict.fromkeys(re.findall(missing, said)):
        if path not in _PROGRAMS and not path.startswith(("/dev/", "/run/credentials/")):
            found.append(_file(own(path) or os.path.normpath(path), root, code))
    if any(trace.kind.endswith("Error") and _CERTIFICATE.search(_code(trace)) for trace in read):
        found.append(
            "A certificate or key can't be read: hand it over by fastapi_credentials, whose NAME the app finds as "
            "$CREDENTIALS_DIRECTORY/NAME, or see its path."
        )
    model = re.search(_HUBS, said) or re.search(_LOADERS, said)
    if model and _NO_WAY.search(said):
        found.append(_model(model[1] if "." in model[1] else f"what {model[1]} asks", root))
    else:
        if re.search(r"Connection refused|ConnectionRefusedError|Connect call failed|connecting to \S+:[0-9]+", said):
            found.append(_refused(said))
        if re.search(_NO_NAME, said):
            # As an address has it, or a sentence in quotes. An error of sockets' has no name.
            theirs = [host for host in hosts if re.search(rf"['\"@/ ]{re.escape(host)}['\":/]", said)] or [*hosts]
            pairs = ", ".join(f"{hosts[host]}: …" for host in theirs)
            default = f", which is {' or '.join(theirs)} by default" if theirs else ""
            found.append(
                f"The host can't find a name that the app connects to{default}. One of a compose file's, such as db, "
                f"is none there: set the address in fastapi_env{f', as {{{pairs}}}' if theirs else ''}."
            )
    if any(trace.kind in ("SyntaxError", "IndentationError", "TabError") for trace in read):
        python = re.search(r"/python(3\.[0-9]+)/", said)
        has = f"which is {python[1]}" if python else "which may be older"
        found.append(f"If it runs at home, it isn't written for the host's Python, {has}: see fastapi_python.")
    if re.search("unable to open database file|attempt to write a readonly database", said):
        paths = ", ".join(shared) or "blog.db"
        named = "" if shared else ", with the path that SQLite's file has in the source"
        found.append(
            f"The release is read-only to the app. Write fastapi_shared_paths: [{paths}]{named}: what is shared can be "
            "written, and outlives releases."
        )
    if re.search(_NO_TABLE, said):
        found.append(_table(read))
    for pattern, told in _WORDS:
        if match := re.search(pattern, said):
            found.append(match.expand(told))
    return " ".join(found)


def _code(trace: Trace) -> str:
    return " ".join(code for _path, _line, code in trace.frames[-4:])


def _settings(said: str, read: list[Trace], known: Mapping[str, Sequence[str]]) -> list[str]:
    names = re.findall(r"(?:UndefinedValueError: |Environment variable \")(\w+)\"? not (?:found|set)", said)
    nested, models = list[str](), list[str]()
    for trace in read:
        if trace.kind == "KeyError" and "environ" in _code(trace):
            names.append(trace.what.strip("'\""))
        if trace.kind.endswith(("Error", "Exception", "Configured")):
            names += [first or second for first, second in _UNSET.findall(trace.what)]
        if trace.kind in ("TypeError", "AttributeError") and "NoneType" in trace.what and trace.frames:
            names += re.findall(r"""(?:getenv|environ\.get)\(["'](\w+)["']\)""", trace.frames[-1][2])
        # Of a model of data that isn't the environment's fastapi_env fixes nothing.
        if trace.kind == "ValidationError" and _of_settings(trace):
            lacking = [name for name, why in refused(trace).items() if why == MISSING or _is_none(name, why)]
            names += [variable for name in lacking for variable in known.get(name.lower()) or [_variable(name)]]
            lacking = [name for name in lacking if not known.get(name.lower())]
            nested += [name.upper() for name in lacking if "." in name]
            # One word, as rmq or session, is as often a model's name as a variable's.
            models += [name for name in lacking if re.fullmatch("[a-z]+", name)]
    wanted = ", ".join(dict.fromkeys(f"{name}: …" for name in names))
    told = [f"Write fastapi_env: {{{wanted}}}, secrets by ansible-vault."] if wanted else []
    if nested:
        name = nested[0].replace(".", "__")
        told.append(
            f"The name of a setting in another, as {name}, has the class's env_prefix before it, if there is one, and "
            "its env_nested_delimiter within it, here taken to be __."
        )
    elif models:
        name = models[0].upper()
        told.append(
            f"Where {models[0]} is a model of its own, its fields are set in place of {name}, as {name}__FIELD: the "
            "class's env_prefix, the name, its env_nested_delimiter, the field."
        )
    return told


def _variable(name: str) -> str:
    return name.upper().replace(".", "__")


def _of_settings(trace: Trace) -> bool:
    """Whether what was refused is the environment's: by the class's name, or by names as variables have them."""
    return "settings" in f"{trace.what} {_code(trace)}".lower() or all(map(str.isupper, refused(trace)))


def _is_none(name: str, why: str) -> bool:
    """Whether pydantic speaks of a setting that is None, or inside of another that was given nothing fit for it: of a
    text that was set it says more, as `unable to parse`."""
    _before, dot, last = name.rpartition(".")
    # What follows the name of a plain one is the type that was tried, or a number in a list.
    inner = why.startswith("Input should be a valid") and last.isidentifier() and last not in _TYPES
    return inner if dot else bool(re.fullmatch(r"Input should be a valid (string|integer|number|boolean)", why))


def _module(name: str, files: list[str], theirs: bool = False) -> str:
    """:param files: of the user's, as the tracebacks name them.
    :param theirs: whether it is a package that imports it, as Celery does gevent for a pool of that name."""
    top = name.partition(".")[0]
    for file in files:
        before, found, _rest = f"/{file}".partition(f"/{top}/")
        if found and before:
            return f"{top} is in {before[1:]}/ of the source. Write fastapi_env: {{PYTHONPATH: {before[1:]}}}."
        if found:
            return f"The source's {top}/ has no {name.partition('.')[2]}: is it committed, and not in fastapi_exclude?"
    if not files and not theirs:
        return (
            f"There is no {name} at the top of the source: write fastapi_app with the path from there, as dir.file:app."
        )
    called = f" ({PACKAGES[top]})" if top in PACKAGES else ""
    if top == "distutils":
        return (
            "Python has no distutils from 3.12 on, and Debian 12 none in its own: add setuptools to the requirements."
        )
    if top in _DRIVERS:
        called += f", or name the driver that it brings in the database's URL, as {_DRIVERS[top]}"
    told = f"Nothing that the release installs brings {name}: add what does to the requirements{called}."
    return (
        told if theirs else f"{told} If it is a module of the app's own, it is looked for from the top of the source."
    )


def _table(read: Sequence[Trace]) -> str:
    frames = [own(path) for trace in read for path, _line, _code in trace.frames]
    script = next((path for path in frames if re.search(r"(^|/)versions/[^/]+\.py$", path)), "")
    if not script:
        return "The database lacks a table. Write fastapi_before_swap: [alembic upgrade head], or what makes it."
    return (
        f"The migration {script} needs a table that none before it has made, so the migrations can't fill an empty "
        "database. Where the app makes its tables as it starts, as by create_all(): leave alembic out of "
        "fastapi_before_swap, deploy, have run.yml run `alembic stamp head` once, and write it there again. Else have "
        "a migration before this one make the table."
    )


def _file(path: str, root: str, code: set[str]) -> str:
    """:param code: directories of the source that have code, which no shared directory can take the place of."""
    directory, name = os.path.split(path)
    shared, secret = f"{root}/shared/", bool(_SECRET.search(path))
    hand = f"hand it over by fastapi_credentials, whose {name} the app opens as $CREDENTIALS_DIRECTORY/{name}"
    if path.startswith(shared):
        return f"{path} isn't on the host: put it there once, for the app's user to read."
    if directory in ("", "..") or path.startswith("/") or any(f"{each}/".startswith(f"{directory}/") for each in code):
        directory = "secrets" if secret else "data"
    put = (
        f"put it on the host as {shared}{directory}/{name}, for the app's user to read, and write "
        f"fastapi_shared_paths: [{directory}]"
    )
    opens = "" if f"{directory}/{name}" == path else f"; the app opens it as {directory}/{name}"
    either = f"{hand}, or {put}{opens}." if secret else f"{put}{opens}."
    if path.startswith("/"):
        return f"{path} isn't on the host, or isn't the app's to see: {either}"
    return (
        f"{path} isn't there. A release has what the source has: git leaves out what .gitignore names, and Git LFS "
        f"what wasn't pulled; see fastapi_exclude too. Else {either}"
    )


def _model(host: str, root: str) -> str:
    return (
        f"The app downloads a model when it starts, and the host has no way to {host}. Put its files into the source, "
        f"or once into {root}/shared/models with fastapi_shared_paths: [models], and load it by that path; or copy the "
        f"cache of a machine that has it to {root}/home/.cache, where all releases look. To let the host out, see its "
        "DNS and firewall, or set HTTPS_PROXY in fastapi_env."
    )


def _refused(said: str) -> str:
    match = (
        re.search(r"server at \"([^\"]+)\"(?: \([^)]*\))?, port ([0-9]+)", said)
        or re.search(r"Connect call failed \('([^']+)', ([0-9]+)", said)
        or re.search(r"connecting to ([\w.-]+):([0-9]+)", said)
    )
    where = f" at {match[1]} port {match[2]}" if match else ""
    return (
        f"What the app connects to isn't there{where}. See that it runs, and that fastapi_env has the right address: "
        "localhost is the host itself."
    )
