"""The worker class by a name that stays: python3-uvicorn of Debian brings it under the old one."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from uvicorn.workers import UvicornWorker

__all__ = ["UvicornWorker"]
