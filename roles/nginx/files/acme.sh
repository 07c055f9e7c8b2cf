#!/bin/sh
# Written by Ansible (graceful.deploy.nginx); changes made here are undone by the next run.
#
#   acme.sh APP DIRECTORY EMAIL AUTHORITY AGAIN NAME...
#
# Sees that the app's certificate is one of its ACME authority, for its names.
# AGAIN is the seconds after which it is asked for once more where the authority got another's answer, or none; empty is never.
# Says "issued" where something changed. certbot is asked only where what is there doesn't fit; its timer renews.
set -eu
app=$1 directory=$2 email=$3 authority=$4 again=$5
shift 5
lineage=graceful-$app own=/etc/nginx/graceful/$app webroot=/var/lib/nginx/graceful-acme
live=/etc/letsencrypt/live/$lineage renewal=/etc/letsencrypt/renewal/$lineage.conf

fits() {
    [ -e "$live/fullchain.pem" ] || return 1
    has=$(openssl x509 -in "$live/fullchain.pem" -noout -ext subjectAltName | tail -n +2 | sed 's/DNS://g; s/, /\n/g; s/ //g' | sort)
    [ "$has" = "$(printf '%s\n' "$@" | sort)" ] && openssl x509 -in "$live/fullchain.pem" -noout -checkend 0 >/dev/null &&
        grep -qxF "server = $directory" "$renewal"
}

ask() {
    names=
    for name; do names="$names -d $name"; done
    # shellcheck disable=SC2046,SC2086
    certbot certonly --non-interactive --agree-tos --webroot --webroot-path "$webroot" --cert-name "$lineage" $names \
        --server "$directory" ${email:+--email "$email" --no-eff-email} $([ -n "$email" ] || echo --register-unsafely-without-email) \
        --renew-with-new-domains --force-renewal --key-type ecdsa --deploy-hook 'systemctl reload nginx.service' 2>&1
}

# Of two balancers one may ask before the other can hand the authority's question on to it, or before one has the address. All
# else would fail again, and authorities count that.
raced() {
    kinds=$(printf '%s\n' "$said" | sed -n 's/^ *Type: *//p' | sort -u)
    [ -n "$again" ] && [ -n "$kinds" ] && ! printf '%s\n' "$kinds" | grep -qvxE 'unauthorized|connection'
}

# For the renewals, which have to trust it too.
if [ -n "$authority" ]; then ln -sfn "$authority" "$own/acme-ca.pem"; else rm -f "$own/acme-ca.pem"; fi
changed=
if ! fits "$@"; then
    if [ -n "$authority" ]; then
        bundle=$(mktemp)
        trap 'rm -f "$bundle"' EXIT
        cat /etc/ssl/certs/ca-certificates.crt "$authority" >"$bundle"
        export REQUESTS_CA_BUNDLE="$bundle"
    fi
    if ! said=$(ask "$@") && ! { raced && sleep "$again" && said=$(ask "$@"); }; then
        echo "No certificate for $* by $directory. What is served meanwhile is the one that was there before, or, where" \
            "there was none, one of the host's own authority. Fix what is said here, and run again: $said" >&2
        exit 1
    fi
    changed=yes
fi
if [ "$(readlink "$own/tls")" != "$live" ]; then
    ln -sfn "$live" "$own/tls"
    changed=yes
fi
if [ -n "$changed" ]; then
    systemctl reload nginx.service
    echo issued
fi
