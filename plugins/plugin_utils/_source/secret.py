# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables are secrets that an app makes up for itself, and shares with nobody; and how one is made."""

from __future__ import annotations

import base64
import os
import re
import secrets

# Words that may come before, such as JWT_REFRESH_SECRET_KEY's. Any other is taken for somebody else's name, as in
# STRIPE_SECRET_KEY, whose value can't be made up.
_BEFORE = (
    "ACCESS|ADMIN|APP|APPLICATION|AUTH|AUTHENTICATION|BACKEND|COOKIE|CSRF|EMAIL|FASTAPI|HASH|JWT|MIDDLEWARE|PASSWORD|REFRESH|"
    "RESET|SECURITY|SERVER|SESSION|SESSIONS|SITE|TOKEN|USER|USERS|VERIFICATION|VERIFY|WEB"
)
_OWN = re.compile(
    rf"(?i)(?:(?:{_BEFORE})_+)*(?:SECRET(?:_JWT)?(?:_KEY)?|(?:SECRET_)?FERNET_KEY|SIGNING_(?:KEY|SECRET)|SECRET_TOKEN)"
)

# What lets somebody in, where the app itself compares it: users' passwords and other services' have other names.
_WHOSE = (
    "ACCESS|ADMIN|APP|APPLICATION|AUTH|BACKEND|FASTAPI|FIRST_SUPERUSER|INTERNAL|MASTER|SERVER|SERVICE|SITE|SUPERUSER|"
    "WEB|X"
)
_OPENS = re.compile(
    rf"(?i)(?:(?:{_WHOSE})_+)*"
    "(?:API_?(?:KEY|TOKEN|SECRET)|PASSWORD|PASSPHRASE|TOKEN|AUTH_KEY|(?:PRIVATE|ENCRYPTION|MASTER)_KEY)"
)
_MADE_UP = re.compile(rf"(?i)(?:(?:{_WHOSE})_+)*API_?(?:KEY|TOKEN|SECRET)|(?:(?:{_WHOSE})_+)+(?:PASSWORD|TOKEN)")
# A path, an address, a place to fill in: nobody gets in by it.
_NO_SECRET = re.compile(r"\s*$|[./$<{\[]|\w+://")
_KEPT = re.compile(r"(?i)secret|key|salt|pepper|token|passw|jwt")
_FERNET = "base64.urlsafe_b64encode(os.urandom(32)).decode()"


def is_kept(bare: str) -> bool:
    """Whether what a program makes up under that name is to be the same tomorrow: an instance's own id isn't."""
    return bool(_KEPT.search(bare))


def how_made(maker: str) -> str:
    """What makes one up, for the shell; Fernet takes no other form than its own.

    :param maker: the function that the source has for it.
    """
    made = f"base64, os; print({_FERNET})" if maker == "generate_key" else "secrets; print(secrets.token_urlsafe(32))"
    return f"python3 -c 'import {made}'"


def make(maker: str, variable: str = "") -> str:
    fernet = maker == "generate_key" or variable.upper().endswith("FERNET_KEY")
    return base64.urlsafe_b64encode(os.urandom(32)).decode() if fernet else secrets.token_urlsafe(32)


def opens(bare: str, default: str) -> bool:
    """Whether a default lets in whoever reads the source, as `api_key: str = "changeme"` does.

    :param bare: the variable's name, as for `is_own`.
    """
    return bool(_OPENS.fullmatch(bare)) and not _NO_SECRET.match(default)


def can_be_made_up(bare: str) -> bool:
    """Whether any text does for it: an API's own key does, a private key or the password of a database doesn't."""
    return is_own(bare) or bool(_MADE_UP.fullmatch(bare))


def is_own(bare: str) -> bool:
    """:param bare: a variable's name, without a prefix that all of the project's have."""
    return bool(_OWN.fullmatch(bare))
