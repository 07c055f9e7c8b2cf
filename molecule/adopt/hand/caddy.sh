# The article's unit and Caddyfile, but that its site is by http, and has another one beside it.
set -e
useradd --create-home deploy
cp -a /opt/hand/app /srv/myapi
mkdir -p /srv/myapi/.venv/bin
ln -s /usr/bin/gunicorn /srv/myapi/.venv/bin/gunicorn
printf 'LOG_LEVEL=info\nSECRET_KEY=9f8e7d6c5b4a39281706f5e4d3c2b1a0\n' >/srv/myapi/.env
chmod 600 /srv/myapi/.env
chown -R deploy:deploy /srv/myapi
cat >/etc/systemd/system/myapi.service <<'END'
[Unit]
Description=My FastAPI service
After=network.target

[Service]
Type=simple
User=deploy
WorkingDirectory=/srv/myapi
EnvironmentFile=/srv/myapi/.env
ExecStart=/srv/myapi/.venv/bin/gunicorn app.main:app \
    --worker-class uvicorn.workers.UvicornWorker \
    --workers 4 \
    --bind 127.0.0.1:8000 \
    --timeout 60 \
    --graceful-timeout 30
Restart=on-failure
RestartSec=2
TimeoutStopSec=45
KillSignal=SIGTERM

[Install]
WantedBy=multi-user.target
END
cat >/etc/caddy/Caddyfile <<'END'
http://other.example.com {
	respond "another site"
}

# The article's.
http://api.example.com {
	reverse_proxy 127.0.0.1:8000 {
		health_uri /ready
		health_interval 10s
	}
}
END
systemctl daemon-reload
systemctl enable --quiet --now myapi
systemctl enable --quiet caddy
systemctl restart caddy
