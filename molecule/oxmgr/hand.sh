# A Gunicorn under an Oxmgr that a user of the host has set up, behind the host's Caddy; with "away" as argument, all of
# it goes.
set -e
if [ "${1:-}" = away ]; then
    systemctl disable --quiet --now oxmgr || true
    rm -rf /etc/systemd/system/oxmgr.service /etc/caddy/sites/hand-made.caddy /opt/oxmgr /srv/shelf
    systemctl daemon-reload
    systemctl reload caddy
    ! id shelf >/dev/null 2>&1 || userdel --remove shelf
    exit
fi
if [ ! -e /usr/bin/gunicorn ]; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends gunicorn python3-fastapi python3-uvicorn \
        python3-httptools python3-websockets >/dev/null
fi
useradd --create-home shelf
mkdir /opt/oxmgr
cp --dereference /usr/local/lib/swap-oxmgr /opt/oxmgr/oxmgr
cp -a /opt/hand/app /srv/shelf
# Caddy keeps idle connections for two minutes: where the app closes them sooner, a POST is lost now and then, by nobody's
# move.
cat >/srv/shelf/oxfile.toml <<'END'
version = 1

[[apps]]
name = "shelf"
command = "/usr/bin/gunicorn app.main:app -k uvicorn.workers.UvicornWorker -w 2 -b 127.0.0.1:9100 --keep-alive 130 --graceful-timeout 10"
cwd = "/srv/shelf"
restart_policy = "always"
restart_delay_secs = 1
max_restarts = 4294967295
stop_signal = "SIGTERM"
stop_timeout_secs = 15

[apps.env]
LOG_LEVEL = "info"
API_TOKEN = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
END
chown -R shelf:shelf /srv/shelf
cat >/etc/systemd/system/oxmgr.service <<'END'
[Service]
User=shelf
ExecStart=/opt/oxmgr/oxmgr daemon run
Restart=always

[Install]
WantedBy=multi-user.target
END
cat >/etc/caddy/sites/hand-made.caddy <<'END'
http://shelf.example.org {
	reverse_proxy 127.0.0.1:9100
}
END
systemctl daemon-reload
systemctl enable --quiet --now oxmgr
# It asks the daemon, which has to listen by then, or it would start another one.
timeout 20 runuser -l shelf -c 'until [ -e ~/.local/share/oxmgr/events.sock ]; do sleep 0.1; done'
runuser -l shelf -c '/opt/oxmgr/oxmgr apply /srv/shelf/oxfile.toml'
systemctl reload caddy
