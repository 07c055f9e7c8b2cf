#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Build one release of an app, source and virtual environment, complete or absent
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Packs an app's source and the wheels of its requirements on the control node, sends them in one archive, and makes
    a directory of them under C(releases) on the host, which asks no index.
  - The release's id is a digest of what goes in, so the same input is the same release. Where the host has it, one trip
    finds that out and nothing is built or sent.
  - Only what the host lacks is sent. A release whose environment would equal that of one that is there (the same lock,
    Python, platform and method) gets links to the files of that one, so that a deploy of changed code sends code alone
    and takes no room for packages. It is made anew where that one was changed by hand.
  - The wheels that a host's releases are made of stay on it in C(wheels) in the O(root), with the uv and pip that
    install them, so that a changed requirement sends its own wheel alone. That is about 20 MB for each app, and once
    what its wheels take packed; a wheel goes with the last release that is made of it.
  - All hosts that lack the same get the same archive. It stays for a day in the control node's cache, where nobody but
    its owner may read it.
  - A release is complete or absent. It is built beside, written to disk with C(release.json) as its last file, and
    renamed. What a run that died has left is cleared by the next one.
  - Wheels are collected once for all hosts with the same Python and platform and kept in a cache on the control node,
    C($XDG_CACHE_HOME/graceful.deploy), with the pip and uv that collect them. Sets that nothing has used for 60 days
    go when another one is collected.
  - Unpinned requirements are resolved when a set is collected, and then stay as they are until a requirements file, the
    index settings, or the host's Python or platform change. To have newer versions on purpose, pin them.
  - Where a requirement has no wheel that fits, one is built from its source, once, and kept in the cache. That runs the
    package's code, on the control node as the user who runs Ansible, on a O(build_host) as C(nobody) rather than root.
  - What the requirements name is resolved first, by itself. gunicorn and uvicorn are then added if they are missing, in
    versions that go with it. A constraint that names one of them decides its version. So is websockets where the
    source has a WebSocket endpoint and the app brings neither that nor wsproto.
options:
  name:
    description: Name of the app, for messages and the virtual environment's prompt.
    type: str
    required: true
  root:
    description:
      - Absolute path of the app's directory on the host. Its C(releases) is made if it is missing.
      - Empty is C(/srv/) and the O(name).
    type: str
    default: ""
  group:
    description: Name of the group that may read the release. Its owner is root, and others may not read it.
    type: str
    default: deploy
  user:
    description: Name of the user that the app runs as. It owns the directories of O(shared_paths), and nothing else.
    type: str
    default: deploy
  source:
    description:
      - The app's source, a directory or an archive (C(.tar.gz), C(.tgz), C(.tar), C(.zip)) on the control node, or a
        git URL. A relative path starts at the playbook. An archive's single top directory is left out.
      - A path is shipped as it is, a git checkout with what isn't committed too.
      - A URL is one that git clones by https, http, ssh, git or file, or C(user@host:path), with C(git+) in front or
        not. The control node's git fetches it into a mirror in the cache, once a run. Credentials in an http URL are in
        no output and no argument list; without them git's credential helpers and ssh's keys serve, and nothing is
        asked. A repository with submodules is refused.
    type: str
    required: true
  version:
    description:
      - Branch, tag or commit of the git URL in O(source). Empty takes the repository's HEAD.
      - Looked up once a run, so that all hosts have the same commit. A commit in full that was fetched before is taken
        without asking the server.
      - Refused where the O(source) is a path.
    type: str
    default: ""
  source_directory:
    description:
      - Directory inside the O(source), also of a URL or an archive, that is the app's project. It alone is shipped, and
        other paths count from it. Where it is a member of a uv workspace, the C(uv.lock) above it holds.
    type: str
    default: ""
  requirements:
    description:
      - Path of the file inside the O(source) that says what the app needs. Its name tells the format. It is a
        C(requirements.txt) (by any other name too), a C(pylock.toml) or C(pylock.NAME.toml) (PEP 751), a C(uv.lock)
        beside its C(pyproject.toml), or a C(pyproject.toml) with C(dependencies) in its C([project]). What it
        includes has to be inside the source too.
      - Empty looks for C(requirements.txt), C(requirements-prod.txt), C(requirements-production.txt),
        C(requirements/prod.txt), C(requirements/production.txt), C(pylock.toml) and C(uv.lock), and refuses two of
        them. Where there is none, C(pyproject.toml) is taken.
      - Versions that are locked stay as they are, and where hashes are listed, a wheel with another hash is refused.
        The index settings of the control node decide where a file comes from, not the addresses in a lock.
      - Of a C(uv.lock) the development group is left out, as by C(uv sync --no-dev). One that is older than its
        C(pyproject.toml) is refused.
      - The source is the working directory of the app. Where it is a package that its own tool would install (a
        C([build-system]), C(package = true) of uv, C(package-mode) of Poetry, C(distribution) of PDM), it is installed
        in place. It finds its version and entry points, C(src) is on the path, and its commands are in the
        environment's C(bin). Its build isn't run, so a package that compiles is refused, and a version that is made of
        git's tags isn't known.
      - A line C(.) or C(-e .), with extras or not, stands for what the C([project]) at the source's top needs. Other
        editable installs, paths, URLs and version control are refused, because they have no wheel on an index.
    type: str
    default: ""
  extras:
    description:
      - Names of the project's extras that are installed too. One that there isn't is refused.
      - A C(requirements.txt) has extras only where a line of it stands for the project.
    type: list
    elements: str
    default: []
  method:
    description:
      - How dependencies reach the host. With V(wheels) the control node collects wheels for the host and sends those
        that the host lacks.
      - With V(venv) the control node makes the whole environment and sends that. It needs a Python of the host's minor
        version, machine and kind of C library, and is refused where it has none, or where a compiled file needs a newer
        glibc than the host's. The environment starts the host's own O(python) then.
      - With V(index) the control node resolves the requirements to one version each, with hashes, and the host takes
        exactly those from an index that it reaches, the one of O(index_url) or of its own pip configuration
        (C(/etc/pip.conf), or root's). Both have to see the same files. Wheels alone are taken, because building one
        would run its code as root. How much room they need isn't known beforehand.
    type: str
    choices: [wheels, venv, index]
    default: wheels
  python:
    description: The host's CPython for the virtual environment, an absolute path or a name on its PATH.
    type: str
    default: /usr/bin/python3
  keep:
    description:
      - How many releases stay on the host in all, 1 or more. Others are removed after a new one is complete.
      - First to go are those that never served or are known to be bad, the oldest first; then those that served, by
        C(history.jsonl), whose last time is longest ago.
      - Never removed are those that a slot under C(slots) holds and the one that a rollback would go to, so there may
        be more.
    type: int
    default: 5
  exclude:
    description:
      - Patterns of files and directories that never leave the control node, with C(*), C(?) and C([...]).
      - A pattern without a slash is matched against names at any depth; one with a slash inside or in front against the
        path from the top of the O(source); one with a slash at its end against directories alone.
      - Your list replaces the default. Secrets and version control stay behind in any case, which are C(.env),
        C(.env.*), C(.envrc), C(.netrc), C(.pypirc), C(.git-credentials), C(.git), C(.hg), C(.svn) and C(.jj).
        C(.env.template), C(.env.example), C(.env.sample) and C(.env.dist) are shipped where the code names them.
    type: list
    elements: str
    default:
      - .venv
      - venv
      - __pycache__
      - "*.pyc"
      - node_modules
      - .mypy_cache
      - .ruff_cache
      - .pytest_cache
      - .hypothesis
      - .tox
      - .idea
      - .vscode
      - .DS_Store
  shared_paths:
    description:
      - What outlives releases, relative to the top of the O(source), such as V(media), V(var/uploads) or V(blog.db).
        Each is a symlink in the release to C(shared) in the O(root), where a directory is made for the O(user), mode
        0750.
      - A path is a file where the O(source) has one there, or has nothing and the path has an ending, as V(blog.db)
        has. The symlink then leads to a file of that name in the directory.
      - What the O(source) has there is what it begins with, without C(.gitkeep) and C(.keep); code is refused.
      - A path that is taken out of the list stays on the host with what is in it.
    type: list
    elements: str
    default: []
  public_paths:
    description:
      - Directories of the O(source) that the proxy serves itself. Everybody on the host may read them, and nothing else
        of the release.
    type: list
    elements: str
    default: []
  index_url:
    description:
      - Package index that the control node takes wheels from, in place of the one that pip is configured with. It may
        hold credentials, which are in no output, no argument list and no file that stays. With O(method=index) it is
        the host's index too; with others it isn't sent to the host.
      - The rest of pip's configuration (extra indexes, find-links, certificates, proxies) holds for uv as well, and as
        with pip the best version of all indexes is taken. Where an extra index holds private packages, set
        E(UV_INDEX_STRATEGY) to V(first-index) on the control node, so that nobody can publish a newer one elsewhere.
    type: str
    default: ""
  packages_until:
    description:
      - The last day of which versions are taken where the requirements name no exact ones, such as V(2025-07-14), by
        the time at which a file was uploaded to the index; the index has to tell that (PEP 700, as PyPI does). Empty
        for the newest of today.
      - What is named exactly is taken whatever its day, and where all is, as in a lock, this changes nothing.
    type: str
    default: ""
  versions:
    description:
      - Exact versions that are taken in place of those that the requirements or the lock name, such as
        V(numpy==1.23.2), also of what is needed by something else.
    type: list
    elements: str
    default: []
  app:
    description:
      - The application as C(module:attribute). Where the top package of the module is in the O(source) and the module
        isn't, the source is refused.
    type: str
    default: app.main:app
  state:
    description:
      - With V(present) the release is made unless the host has it.
      - With V(collected) the host is only asked, where O(collected) doesn't say it already, and the wheels of a release
        that it lacks are collected, so that what can't be had is known before anything changes. What it returns as
        RV(collected) saves the next task the asking.
      - V(built) is the same for a task that is delegated to the O(build_host), and builds there what has no wheel. It
        needs O(collected).
    type: str
    choices: [collected, built, present]
    default: present
  collected:
    description:
      - What this module returned as RV(collected) for the same host and options, or module M(graceful.deploy.preflight)
        as RV(graceful.deploy.preflight#module:releases).
    type: dict
    default: {}
  build_host:
    description:
      - Name in the inventory of the host that builds wheels from source where an index has none. It needs the same
        Python and platform as the hosts that the wheels are for, no newer C library, and the compilers and headers that
        the packages ask for. It may be one of these hosts.
      - With O(state=collected) a source that has to be built ends the task with RV(needs_build), for a task with
        O(state=built) that is delegated to this host.
      - Empty builds pure Python sources on the control node, and refuses others.
    type: str
    default: ""
attributes:
  action:
    description: Has an action plugin of the same name, which does the control node's half.
    support: full
  async:
    description: Can be used with C(async).
    support: none
  check_mode:
    description: Can run in check mode and tells then what a run would do, without building or sending anything.
    support: full
    details: Wheels are collected on the control node in check mode as well, so what has none is found out.
  diff_mode:
    description: Will return details on what has changed when in diff mode.
    support: full
    details: Lists the complete releases, oldest first.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: Debian 12 and 13
notes:
  - Has to run as root, so that the service can't change what it runs.
  - The control node needs Python 3.11 with pip or venv besides ansible-core, and reaches the index. The host needs its
    Python alone.
seealso:
  - module: graceful.deploy.swap
"""

EXAMPLES = r"""
- name: Build the release
  graceful.deploy.release:
    name: hello
    source: ../hello
  register: release

- name: The same with an index of one's own and another Python
  graceful.deploy.release:
    name: hello
    source: /builds/hello-1.4.tar.gz
    python: /usr/bin/python3.13
    index_url: "https://{{ index_user }}:{{ index_token }}@packages.example.com/simple"
    keep: 3

- name: A tag of a repository
  graceful.deploy.release:
    name: hello
    source: "https://{{ git_user }}:{{ git_token }}@git.example.com/us/hello.git"
    version: v1.4.0
"""

RETURN = r"""
release:
  description: The release's id.
  returned: success
  type: str
  sample: 3f2a9c81d04e
path:
  description: Its directory on the host.
  returned: success
  type: str
  sample: /srv/hello/releases/3f2a9c81d04e
python:
  description: The host's interpreter and platform that the release is for.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the interpreter.
      type: str
      sample: 3.11.2
    tags:
      description: The best tag of wheels that fit it.
      type: str
      sample: cp311-cp311-manylinux_2_36_x86_64
    libc:
      description: The C library and its version.
      type: str
      sample: glibc 2.36
    platform:
      description: What of the platform is part of the id.
      type: str
      sample: linux-x86_64-glibc
complete:
  description: Whether the host had the release before the task.
  returned: success
  type: bool
  sample: false
needs_build:
  description: Whether wheels have to be built on the O(build_host) first.
  returned: when O(state=collected)
  type: bool
  sample: false
collected:
  description: What the host said, for the next task.
  returned: when O(state=collected)
  type: dict
packages:
  description: Version by name of every package in the virtual environment.
  returned: when a release was built
  type: dict
  sample: {"fastapi": "0.121.0"}
pruned:
  description: Ids of the releases that were removed.
  returned: when a release was built
  type: list
  elements: str
  sample: []
sent_bytes:
  description: Size of the archive that was sent, in bytes.
  returned: when a release was built
  type: int
  sample: 32100000
msg:
  description: A sentence on what was done, or would be.
  returned: success
  type: str
  sample: "Release 3f2a9c81d04e of hello is complete in /srv/hello/releases/3f2a9c81d04e: nothing to build or send."
"""
