#!/bin/sh
# Written by Ansible (graceful.deploy.nginx); changes made here are undone by the next run.
#
#   hosts.sh FILE FLAGS ADDRESS:PORT...
#
# Writes to FILE which of the app's hosts nginx hands requests to: those without a file of their name in the directory FLAGS,
# where ready.py keeps one for each that isn't ready. nginx is reloaded where that changes something.
set -eu
file=$1 flags=$2
shift 2
servers='' ready=''
for host; do
    down=''
    if [ -e "$flags/$host" ]; then down=' down'; else ready=yes; fi
    # One connection that fails is enough: the next 3 s its requests go to the others.
    servers="${servers}server $host max_fails=1 fail_timeout=3s$down;
"
done
# Of none at all nginx would say 502; what it says meanwhile, 503, goes by ready.py's own file.
if [ -e "$file" ] && [ -z "$ready" ]; then exit 0; fi
if [ -e "$file" ] && [ "$(cat "$file")
" = "$servers" ]; then exit 0; fi
printf %s "$servers" >"$file.new"
mv "$file.new" "$file"
if systemctl --quiet is-active nginx.service; then systemctl --no-block reload nginx.service; fi
