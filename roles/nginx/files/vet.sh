# shellcheck shell=sh
# Has nginx read a copy of its configuration, in a mount namespace of its own: vet.sh COPY SITE TLS HOSTS
# Its main file names the others by their full paths, so the copy has to be where they lead.
set -eu
umask 027
mount --bind "$1" /etc/nginx
if [ -n "$3" ] && ! [ -e "$3/fullchain.pem" ]; then
    # The real one comes when all is there; a copy of it is thrown away.
    mkdir -p "$3"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /CN=vet \
        -keyout "$3/privkey.pem" -out "$3/fullchain.pem" 2>/dev/null
fi
if [ -n "$4" ] && ! [ -e "$4" ]; then
    echo "server 127.0.0.1:1;" >"$4"
fi
if ! said=$(nginx -t -q 2>&1); then
    printf '%s\n' "$said" | grep -v '\[warn\]' >&2
    case $said in
    *"duplicate default server"*)
        echo "Another site takes every name on that port. Write fastapi_domains or another fastapi_http_port, or take" \
            "default_server out of that site." >&2
        ;;
    esac
    exit 1
fi
if ! nginx -T 2>/dev/null | grep -qF "# configuration file $2:"; then
    echo "/etc/nginx/nginx.conf is your own, and doesn't read the app's site. Add this line to its http block, and run again:" \
        "include /etc/nginx/sites-enabled/*;" >&2
    exit 1
fi
