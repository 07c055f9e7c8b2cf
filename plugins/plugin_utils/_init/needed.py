# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's packages that an app calls or loads, by what its Dockerfile installs and what it requires. Pure."""

from __future__ import annotations

import re
import typing as t

# What runs an app, and has this name in Debian 12 and 13: not what builds it, or is of an older one.
_RUNTIME = re.compile(
    r"tesseract-ocr(-\w+)*|ffmpeg|poppler-utils|wkhtmltopdf|imagemagick|ghostscript|graphviz|pandoc|chromium|"
    r"chromium-driver|libreoffice(-[a-z]+)?|antiword|unrtf|qpdf|sox|espeak(-ng)?|mediainfo|exiftool|"
    r"libimage-exiftool-perl|ocrmypdf|fonts-[\w-]+|unixodbc|tdsodbc|"
    r"lib(gl1|glib2\.0-0|gomp1|sm6|xext6|xrender1|magic1|odbc2|pq5|mariadb3|sndfile1|zbar0|cairo2|portaudio2|vips42|"
    r"pango-1\.0-0|pangoft2-1\.0-0|pangocairo-1\.0-0|harfbuzz-subset0|gdk-pixbuf-2\.0-0)"
)
_RENAMED = {
    "libgl1-mesa-glx": "libgl1",
    "libmagic-dev": "libmagic1",
    "unixodbc-dev": "unixodbc",
    "exiftool": "libimage-exiftool-perl",
}
_NEEDS = {
    "aioodbc": ["libodbc2"],
    "cairosvg": ["libcairo2"],
    "ffmpeg-python": ["ffmpeg"],
    "imgkit": ["wkhtmltopdf"],
    "openai-whisper": ["ffmpeg"],
    "opencv-python": ["libgl1", "libglib2.0-0"],
    "pdf2image": ["poppler-utils"],
    "pdfkit": ["wkhtmltopdf"],
    "pydub": ["ffmpeg"],
    "pyodbc": ["libodbc2"],
    "pypandoc": ["pandoc"],
    "pytesseract": ["tesseract-ocr"],
    "python-magic": ["libmagic1"],
    "pyzbar": ["libzbar0"],
    "weasyprint": ["libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"],
}
"""What Python packages expect on the host, which their wheels don't bring."""


JIT = frozenset("catboost datashader librosa llvmlite numba openai-whisper pynndescent shap umap-learn".split())
"""Packages that compile at run time, or whose code is put in place as text."""


def packages(dockerfile: str, required: t.Iterable[str]) -> tuple[list[str], list[str]]:
    """Names for fastapi_packages, and what they are read off.

    :param dockerfile: the text of all there are.
    :param required: names of the packages that the app requires.
    """
    whole = re.sub(r"\\\s*\n(\s*#.*\n)*", " ", dockerfile)
    words = [
        word for line in re.findall(r"\bapt(?:-get)?\b[^\n;&|]*\binstall\b([^\n;&|]*)", whole) for word in line.split()
    ]
    names = [_RENAMED.get(word.partition("=")[0], word.partition("=")[0]) for word in words]
    installed = [name for name in names if _RUNTIME.fullmatch(name)]
    needing = sorted(set(required) & set(_NEEDS))
    found = sorted({*installed, *(name for each in needing for name in _NEEDS[each])})
    return found, [*["the Dockerfile"] * bool(installed), *needing]
