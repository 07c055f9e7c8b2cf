#!/bin/sh
# Written by Ansible (graceful.deploy.nginx); changes made here are undone by the next run.
#
#   hosts.sh FILE FLAGS ADDRESS:PORT...
#
# Writes to FILE which of the app's hosts nginx hands requests to: those without a file of their name in the directory FLAGS,
# where ready.py keeps one for each that isn't ready. nginx is reloaded where it hasn't read that yet: FILE.read is what it has.
set -eu
file=$1 flags=$2
shift 2

list() {
    ready=0
    for host; do [ -e "$flags/$host" ] || ready=$((ready + 1)); done
    # One connection that fails is enough: the next 3 s its requests go to the others. Where there is no other, all would be
    # answered by 502 meanwhile.
    if [ "$ready" -gt 1 ]; then fails=1; else fails=0; fi
    for host; do
        down=''
        if [ -e "$flags/$host" ]; then down=' down'; fi
        echo "server $host max_fails=$fails fail_timeout=3s$down;"
    done
}

is_in() {
    [ -e "$1" ] && [ "$(cat "$1")" = "$servers" ]
}

# What changes meanwhile nobody tells: the path unit looks no further while this runs.
while :; do
    servers=$(list "$@")
    # Of none at all nginx would say 502; what it says meanwhile, 503, goes by ready.py's own file.
    if [ -e "$file" ] && ! printf '%s\n' "$servers" | grep -qv ' down;$'; then exit 0; fi
    if is_in "$file" && is_in "$file.read"; then exit 0; fi
    rm -f "$file.read"
    if ! is_in "$file"; then
        printf '%s\n' "$servers" >"$file.new"
        mv "$file.new" "$file"
    fi
    case $(systemctl show --property=ActiveState --value nginx.service) in
    active | reloading) systemctl reload nginx.service ;;
    # It may have read the list before this one; the timer comes by.
    activating) exit 0 ;;
    esac
    printf '%s\n' "$servers" >"$file.read"
done
