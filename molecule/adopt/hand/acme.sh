# An ACME server, which certbot and Caddy trust as the machine does. Its certificates last as long as those of step-ca.
set -e
echo '127.0.0.1 acme.test books.example.org www.books.example.org bills.example.org cafe.example.com www.cafe.example.com' \
    >>/etc/hosts
sed -i 's/lifetime 5m/lifetime 24h/' /opt/hand/acme.Caddyfile
systemd-run --quiet --unit=acme --setenv=HOME=/var/lib/acme --property=StateDirectory=acme \
    /opt/hand/caddy run --config /opt/hand/acme.Caddyfile --adapter caddyfile
for _ in $(seq 100); do
    curl -sk https://acme.test:9443/acme/local/directory | grep -q newOrder && break
    sleep 0.1
done
install -m 644 /var/lib/acme/pki/authorities/local/root.crt /usr/local/share/ca-certificates/acme.crt
update-ca-certificates >/dev/null 2>&1
