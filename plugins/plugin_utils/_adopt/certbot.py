# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of certbot's certificate when a site moves in. Pure."""

from __future__ import annotations

import typing as t

from .._inputs.rules import TODO
from .front import Front

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
    front: Front, line: tuple[str, str], names: list[str], lineages: t.Sequence[t.Mapping[str, t.Any]]
) -> None:
    """:param line: place and text of what names the certificate.
    :param lineages: as module_utils' lineages().
    """
    good = [lineage for lineage in lineages if covers(lineage, names)]
    if any(not lineage["dns"] for lineage in good):
        # certbot would renew it by the old site, which goes.
        front.put("tls", "acme", _SERVED_ON)
        front.ours.append((*line, "certbot gets ours anew"))
        return
    front.put("tls", "files", _BY_DNS if good else "No certificate of certbot's has all names: see below.")
    for variable, name in (("tls_certificate", "fullchain"), ("tls_key", "privkey")):
        front.put(variable, f"{good[0]['path']}/{name}.pem" if good else TODO)
    if not good:
        wanted = " ".join(f"-d {name}" for name in names)
        front.unknown.append((*line, f"{_NONE} {wanted}"))
