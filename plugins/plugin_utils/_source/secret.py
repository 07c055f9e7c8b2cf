# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables are secrets that an app makes up for itself, and shares with nobody. Pure."""

from __future__ import annotations

import re

# Words that may come before, such as JWT_REFRESH_SECRET_KEY's. Any other is taken for somebody else's name, as in
# STRIPE_SECRET_KEY, whose value can't be made up.
_BEFORE = (
    "ACCESS|ADMIN|APP|APPLICATION|AUTH|AUTHENTICATION|BACKEND|COOKIE|CSRF|FASTAPI|HASH|JWT|MIDDLEWARE|PASSWORD|REFRESH|"
    "RESET|SECURITY|SERVER|SESSION|SESSIONS|SITE|TOKEN|USER|USERS|VERIFICATION|WEB"
)
_OWN = re.compile(rf"(?i)(?:(?:{_BEFORE})_+)*(?:SECRET(?:_KEY)?|SIGNING_(?:KEY|SECRET)|SECRET_TOKEN)")


def is_own(bare: str) -> bool:
    """:param bare: a variable's name, without a prefix that all of the project's have."""
    return bool(_OWN.fullmatch(bare))
