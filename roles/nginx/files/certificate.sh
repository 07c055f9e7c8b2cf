#!/bin/sh
# Written by Ansible (graceful.deploy.nginx); changes made here are undone by the next run.
#
#   certificate.sh APP internal|acme NAME...
#
# Keeps /etc/nginx/graceful/APP/tls leading to a certificate for these names by an authority of the host's own, whose
# certificate is /etc/nginx/graceful/authority.pem. It is made anew when the names change, and a month before its end.
# With acme it is there until the first real one is, because nginx doesn't start without any; but where certbot has one for
# these names already, as on a host that was set up by hand, that one is: clients never meet another.
set -eu
all=/etc/nginx/graceful
app=$1 kind=$2
shift 2
tls=$all/$app/tls own=$all/$app/own

alternatives() {
    for name; do
        case $name in
        *[!0-9.]*) echo "DNS:$name" ;;
        *) echo "IP:$name" ;;
        esac
    done | sort
}

names_in() {
    openssl x509 -in "$1" -noout -ext subjectAltName | tail -n +2 | sed 's/IP Address:/IP:/g; s/, /\n/g; s/ //g' | sort
}

authority() {
    [ ! -e $all/authority.pem ] || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=$(hostname) authority" \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout $all/authority.key -out $all/authority.new
    chmod 644 $all/authority.new
    mv $all/authority.new $all/authority.pem
}

fits() {
    [ "$(names_in "$own/fullchain.pem")" = "$(alternatives "$@")" ] &&
        openssl x509 -in "$own/fullchain.pem" -noout -checkend 2592000 >/dev/null &&
        openssl verify -CAfile $all/authority.pem "$own/fullchain.pem" >/dev/null 2>&1
}

make() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 90 -subj "/CN=$app" \
        -CA $all/authority.pem -CAkey $all/authority.key -addext basicConstraints=critical,CA:FALSE \
        -addext extendedKeyUsage=serverAuth -addext "subjectAltName=$(alternatives "$@" | paste -sd,)" \
        -keyout "$own/privkey.new" -out "$own/fullchain.new"
    mv "$own/privkey.new" "$own/privkey.pem"
    mv "$own/fullchain.new" "$own/fullchain.pem"
}

# Whether a certificate is for these names; a wildcard is for one label in its place.
covers() {
    has=$(names_in "$1")
    shift
    alternatives "$@" | while read -r each; do
        echo "$has" | grep -qxF -e "$each" -e "DNS:*.${each#*.}" || exit 1
    done
}

# One that ends within a day only where there is no other: some authorities' are for no longer.
certbots() {
    for left in 86400 0; do
        for live in /etc/letsencrypt/live/*; do
            if [ -e "$live/privkey.pem" ] && openssl x509 -in "$live/fullchain.pem" -noout -checkend $left >/dev/null 2>&1 &&
                covers "$live/fullchain.pem" "$@"; then
                echo "$live"
                return
            fi
        done
    done
}

keep() {
    if [ "$kind" = acme ] && [ ! -e "$tls/fullchain.pem" ] && live=$(certbots "$@") && [ -n "$live" ]; then
        ln -sfn "$live" "$tls"
        echo "$live until the authority's own is there"
    fi
    if [ "$kind" = acme ] && [ -e "$tls/fullchain.pem" ] && [ "$(readlink "$tls")" != own ]; then
        return
    fi
    mkdir -p "$own"
    if ! [ "$(readlink "$tls")" = own ] || ! [ -e "$own/fullchain.pem" ] || ! fits "$@"; then
        { [ -e "$own/fullchain.pem" ] && fits "$@"; } || make "$@"
        ln -sfn own "$tls"
        echo "a new certificate for $*"
        if systemctl --quiet is-active nginx.service; then systemctl --no-block reload nginx.service; fi
    fi
}

# An app that gets its certificates elsewhere now has no such unit.
while [ -e "/etc/systemd/system/$app-nginx-certificate.service" ]; do
    # Two apps may begin at the same time, and share the authority.
    exec 9>$all/.lock
    flock 9
    authority
    keep "$@"
    exec 9>&-
    systemd-notify --ready
    sleep 43200
done
