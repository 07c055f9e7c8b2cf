"""Fixtures that several files of tests share."""

from __future__ import annotations

from release_run import cache, environment, run, source, wheelhouse

__all__ = ["cache", "environment", "run", "source", "wheelhouse"]
