"""What a newcomer's host is asked, and two of them: see molecule/two_hosts.py."""

from two_hosts import hosts  # noqa: F401
