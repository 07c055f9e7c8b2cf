"""A host under load, and what is deployed to it meanwhile: see molecule/deploys.py."""

from deploys import *  # noqa: F403
