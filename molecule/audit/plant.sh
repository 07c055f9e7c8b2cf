#!/bin/bash
# Plants the faults by hand, as people make hosts: a unit, a site and a directory after the other. A second run changes nothing
# that a test looks at.
set -eu
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$0")

user() { id "$1" >/dev/null 2>&1 || useradd --system --no-create-home "$1"; }
unit() { cat >"/etc/systemd/system/$1.service"; }

# --- shop: Gunicorn behind nginx, with most of the faults.
user shop
mkdir -p /srv /var/log/shop
cp -r "$here/shop" /srv/
chown -R shop: /srv/shop
printf 'DATABASE_PASSWORD=hunter2-of-the-shop\nGREETING=hello\n' >/srv/shop/.env
chmod 644 /srv/shop/.env
# A disk that its log fills: 20 MB, of which it has taken 12 MB in two days.
mountpoint -q /var/log/shop || mount -t tmpfs -o size=20m tmpfs /var/log/shop
if [ ! -s /var/log/shop/error.log ]; then
    date -u -d '2 days ago' '+[%F %T +0000] [1] [INFO] Starting gunicorn' >/var/log/shop/error.log
    head -c 12000000 /dev/zero | tr '\0' 'x' >>/var/log/shop/error.log
fi
chown -R shop: /var/log/shop
unit shop <<UNIT
[Service]
User=shop
WorkingDirectory=/srv/shop
EnvironmentFile=/srv/shop/.env
Environment=PYTHONDONTWRITEBYTECODE=1
RuntimeDirectory=shop
ExecStart=/usr/bin/gunicorn app.main:app --worker-class uvicorn.workers.UvicornWorker --workers $((2 * $(nproc) + 1)) --bind unix:/run/shop/app.sock --umask 0 --timeout 120 --graceful-timeout 30 --error-logfile /var/log/shop/error.log --env API_TOKEN=tok-4f9a8b7c6d5e
TimeoutStopSec=10
KillMode=process
UNIT
cat >/etc/nginx/sites-enabled/shop <<'SITE'
upstream shop {
    server unix:/run/shop/app.sock fail_timeout=0;
    keepalive 16;
}
server {
    listen 8443 ssl;
    server_name shop.test;
    ssl_certificate /etc/ssl/shop.pem;
    ssl_certificate_key /etc/ssl/shop.key;
    client_max_body_size 0;
    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_pass http://shop;
    }
}
SITE
[ -s /etc/ssl/shop.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=shop.test \
    -addext subjectAltName=DNS:shop.test -keyout /etc/ssl/shop.key -out /etc/ssl/shop.pem 2>/dev/null
# A database beside it, as far as its configuration goes.
mkdir -p /etc/postgresql/15/main
printf '# as installed\nmax_connections = 100\n' >/etc/postgresql/15/main/postgresql.conf

# --- alone: Uvicorn as root, restarted by each change of a file, open to the world beside Caddy.
mkdir -p /srv/alone
cat >/srv/alone/main.py <<'APP'
from fastapi import FastAPI

app = FastAPI()
APP
unit alone <<'UNIT'
[Service]
WorkingDirectory=/srv/alone
Environment=PAYMENT_SECRET=pay-8d7c6b5a4f3e
ExecStart=/usr/bin/python3 -m uvicorn main:app --host 0.0.0.0 --port 8001 --reload
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
cat >/etc/caddy/Caddyfile <<'SITE'
{
	admin off
}
http://alone.test:8081 {
	reverse_proxy 127.0.0.1:8001
}
http://told.test:8081 {
	reverse_proxy 127.0.0.1:8003
}
SITE

# --- leaky: killed for memory. In the open, without any proxy.
mkdir -p /srv/leaky
cp /srv/shop/app/main.py /srv/leaky/main.py
user leaky
unit leaky <<'UNIT'
[Service]
User=leaky
WorkingDirectory=/srv/leaky
ExecStart=/usr/bin/gunicorn main:app --worker-class uvicorn.workers.UvicornWorker --bind 0.0.0.0:8002 --preload
MemoryMax=120M
OOMPolicy=continue
Restart=always
[Install]
WantedBy=multi-user.target
UNIT

# --- tight: what its workers have taken is nearly all that their unit may take.
mkdir -p /srv/tight
cp "$here/clean/main.py" /srv/tight/main.py
unit tight <<'UNIT'
[Service]
User=leaky
WorkingDirectory=/srv/tight
ExecStart=/usr/bin/gunicorn main:app --worker-class uvicorn.workers.UvicornWorker --workers 2 --bind 127.0.0.1:8005
Restart=always
[Install]
WantedBy=multi-user.target
UNIT

# --- looping: its module isn't there.
unit looping <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
WorkingDirectory=/srv/leaky
ExecStart=/usr/bin/gunicorn missing:app --worker-class uvicorn.workers.UvicornWorker --bind 127.0.0.1:8009
Restart=always
RestartSec=200ms
[Install]
WantedBy=multi-user.target
UNIT

# --- told: by supervisord, which kills it after 5 s and doesn't start it again.
mkdir -p /srv/told
cp /srv/alone/main.py /srv/told/main.py
cat >/etc/supervisor/conf.d/told.conf <<'PROGRAM'
[program:told]
command=/usr/bin/gunicorn main:app --worker-class uvicorn.workers.UvicornWorker --bind 127.0.0.1:8003
directory=/srv/told
user=shop
stopwaitsecs=5
autorestart=false
PROGRAM

# --- by hand, as from a terminal.
mkdir -p /srv/byhand
cp /srv/alone/main.py /srv/byhand/main.py

# --- clean: nothing is wrong with it.
user clean
mkdir -p /srv/clean
cp "$here"/clean/* /srv/clean/
chown -R root: /srv/clean
chmod -R go-w /srv/clean
mkdir -p /etc/clean
printf 'DATABASE_PASSWORD=correct-horse-battery\n' >/etc/clean/environment
chmod 600 /etc/clean/environment
unit clean <<'UNIT'
[Service]
User=clean
Group=www-data
WorkingDirectory=/srv/clean
EnvironmentFile=/etc/clean/environment
Environment=PYTHONDONTWRITEBYTECODE=1
RuntimeDirectory=clean
ExecStart=/usr/bin/gunicorn main:app
KillMode=mixed
TimeoutStopSec=45
Restart=on-failure
MemoryMax=512M
[Install]
WantedBy=multi-user.target
UNIT
cat >/etc/nginx/sites-enabled/clean <<'SITE'
server {
    listen 8082;
    server_name clean.test;
    client_max_body_size 10m;
    location / {
        proxy_set_header Host $host;
        proxy_read_timeout 65s;
        proxy_pass http://unix:/run/clean/app.sock;
    }
}
SITE
mkdir -p /etc/systemd/system/nginx.service.d
printf '[Service]\nExecStop=\nKillSignal=SIGQUIT\nTimeoutStopSec=60\n' >/etc/systemd/system/nginx.service.d/stop.conf

systemctl daemon-reload
systemctl enable --quiet alone leaky tight looping clean
systemctl restart alone leaky tight clean caddy nginx supervisor
systemctl restart shop
systemctl start --no-block looping
pgrep -f 'port 8004' >/dev/null || (cd /srv/byhand && setsid nohup python3 -m uvicorn main:app --port 8004 >/dev/null 2>&1 </dev/null &)

waits() { for _ in $(seq 150); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.2; done; echo "not within 30 s: $*" >&2; exit 1; }
waits curl -sf -m 2 --unix-socket /run/clean/app.sock http://localhost/ready
waits curl -sf -m 2 --unix-socket /run/shop/app.sock http://localhost/ready
waits curl -s -m 2 http://127.0.0.1:8001/
waits curl -s -m 2 http://127.0.0.1:8003/
waits curl -s -m 2 http://127.0.0.1:8004/
waits curl -sf -m 2 http://127.0.0.1:8002/health
waits curl -sf -m 2 http://127.0.0.1:8005/health
pids=$(pgrep -f 'bind 127.0.0.1:8005')
taken=$(for pid in $pids; do grep -h ^Pss: "/proc/$pid/smaps_rollup"; done | awk '{sum += $2} END {print sum}')
systemctl set-property --runtime tight "MemoryMax=$((taken * 108 / 100))K"
restarted() { [ "$(systemctl show looping -P NRestarts)" -ge 3 ]; }
waits restarted
# The kernel kills the worker that takes too much.
curl -s -m 20 http://127.0.0.1:8002/eat >/dev/null || true
