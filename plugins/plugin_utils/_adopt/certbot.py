# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of certbot's certificate when a site moves in. Pure."""

from __future__ import annotations

import os
import re
import typing as t

from .._inputs.rules import TODO
from .front import Front

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
_STAGING = re.compile(r"(?i)[/.-](staging|test-api)[/.-]")
_TRIAL = "it is from an authority for trials, which no client trusts, and ours will be from Let's Encrypt"
_SERVED_ON = "certbot's certificate is served on until this site has its own, at the move."
_BY_DNS = (
    "certbot renews it as before, not by HTTP. A script of one line, systemctl reload nginx, in "
    "/etc/letsencrypt/renewal-hooks/deploy has nginx serve the new one then."
)
_NONE = (
    "no certificate of certbot's has all names of the site, and clients must not meet another at the move. Get one "
    "that has, by the old site, and read the host anew: certbot --nginx --expand"
)


def covers(lineage: t.Mapping[str, t.Any], names: t.Iterable[str]) -> bool:
    """Whether a certificate is for all of these names; a wildcard is for one label in its place."""
    has = {name.lower() for name in lineage["names"]}
    return all(name in has or f"*.{name.partition('.')[2]}" in has for name in names)


def take_over(
    front: Front, line: tuple[str, str], names: list[str], lineages: t.Sequence[t.Mapping[str, t.Any]], certificate: str
) -> None:
    """:param line: place and text of what names the certificate.
    :param lineages: as module_utils' lineages().
    :param certificate: the path that the site names.
    """
    good = [lineage for lineage in lineages if covers(lineage, names)]
    # The site's own goes first; others may be left over from a trial.
    own = os.path.dirname(certificate)
    good.sort(key=lambda each: (each["path"] != own, bool(_STAGING.search(each.get("server", "")))))
    if by_http := [lineage for lineage in good if not lineage["dns"]]:
        # certbot would renew it by the old site, which goes.
        front.put("tls", "acme", _SERVED_ON)
        server = by_http[0].get("server", "")
        if _STAGING.search(server):
            front.unknown.append((*line, _TRIAL))
        elif server and server != LETSENCRYPT:
            front.put("acme_directory", server, "As certbot has it.")
        front.ours.append((*line, "certbot gets ours anew"))
        return
    front.put("tls", "files", _BY_DNS if good else "No certificate of certbot's has all names: see below.")
    for variable, name in (("tls_certificate", "fullchain"), ("tls_key", "privkey")):
        front.put(variable, f"{good[0]['path']}/{name}.pem" if good else TODO)
    if not good:
        wanted = " ".join(f"-d {name}" for name in names)
        front.unknown.append((*line, f"{_NONE} {wanted}"))
