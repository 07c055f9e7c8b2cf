# A second app of the host, by a script with Gunicorn's file, in the same Caddyfile as the first.
set -e
useradd --system --home-dir /srv/notes --shell /usr/sbin/nologin notes
mkdir -p /srv/notes/current
cp -a /opt/hand/app /srv/notes/current/backend
cat >/srv/notes/current/start.sh <<'SH'
#!/bin/bash
set -e
cd /srv/notes/current/backend
export MODE=live
exec gunicorn --workers "${WORKERS:-9}" --config gunicorn.conf.py "app.main:app"
SH
chmod 755 /srv/notes/current/start.sh
cat >/srv/notes/current/backend/gunicorn.conf.py <<'PY'
import os

bind = f"127.0.0.1:{os.environ.get('PORT', 8100)}"
worker_class = "uvicorn.workers.UvicornWorker"
timeout = 90
graceful_timeout = 20
accesslog = "-"
PY
chown -R notes:notes /srv/notes
cat >/etc/systemd/system/notes.service <<'UNIT'
[Service]
User=notes
WorkingDirectory=/srv/notes/current
Environment=WORKERS=2
ExecStart=/srv/notes/current/start.sh
TimeoutStopSec=20
MemoryMax=1G

[Install]
WantedBy=multi-user.target
UNIT
cat >>/etc/caddy/Caddyfile <<'CADDY'

# The other app's.
http://notes.example.com {
	encode gzip
	reverse_proxy localhost:8100 {
		transport http {
			response_header_timeout 60s
		}
	}
}
CADDY
systemctl daemon-reload
systemctl enable --quiet --now notes
systemctl reload caddy
