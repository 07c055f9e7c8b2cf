"""The command that the app's own pyproject.toml defines. It fails where the project isn't installed with its extra."""

import os
from importlib.metadata import version

import httptools

import service.web


def main() -> int:
    good = version("mail-api") == "2.1" and os.environ["LEVEL"] == "7"
    print(service.web.application, version("mail-api"), httptools.__version__)
    return 0 if good else 1
