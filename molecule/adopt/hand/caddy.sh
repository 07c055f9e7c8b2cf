# The article's unit and Caddyfile, but that its site is by http; in the same file are another site and two apps more: cafe with
# a certificate that Caddy got by itself, on a unix socket; menu begun by a script, with a gunicorn.conf.py.
set -e
for name in cafe menu; do
    useradd --system --home-dir /srv/$name --shell /usr/sbin/nologin $name
    mkdir -p /srv/$name/current/static
    cp -a /opt/hand/app/. /srv/$name/current
    echo "a file of $name" >/srv/$name/current/static/a.txt
    chown -R $name:$name /srv/$name
done
cat >/etc/systemd/system/cafe.service <<'END'
[Service]
User=cafe
WorkingDirectory=/srv/cafe/current
RuntimeDirectory=cafe-web
ExecStart=/usr/bin/python3 -m uvicorn app.main:app --uds /run/cafe-web/web.sock --timeout-graceful-shutdown 10 \
    --timeout-keep-alive 130
Restart=on-failure

[Install]
WantedBy=multi-user.target
END
cat >/srv/menu/current/start.sh <<'END'
#!/bin/bash
set -e
cd /srv/menu/current
export MODE=live
exec gunicorn --workers "${WORKERS:-9}" --config gunicorn.conf.py app.main:app
END
chmod 755 /srv/menu/current/start.sh
cat >/srv/menu/current/gunicorn.conf.py <<'END'
import multiprocessing

bind = "127.0.0.1:8010"
worker_class = "uvicorn.workers.UvicornWorker"
workers = multiprocessing.cpu_count() * 2 + 1
timeout = 90
# Of its own accord this Gunicorn would lose what comes to a worker that it is just replacing, or by a connection that it
# ends before Caddy does.
max_requests = 0
keepalive = 130
accesslog = "-"


def post_fork(server, worker):
    server.log.info("a worker")
END
mkdir /etc/menu
printf 'MAIL_PASSWORD="9f8e7d6c5b4a39281706f5e4d3c2b1a0"\n' >/etc/menu/menu.env
chmod 600 /etc/menu/menu.env
cat >/etc/systemd/system/menu.service <<'END'
[Service]
User=menu
WorkingDirectory=/srv/menu/current
Environment=WORKERS=2
EnvironmentFile=-/etc/menu/menu.env
ExecStart=/srv/menu/current/start.sh
TimeoutStopSec=20
StateDirectory=menu

[Install]
WantedBy=multi-user.target
END
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
{
	acme_ca https://acme.test:9443/acme/local/directory
}

(common) {
	encode gzip
	header -Server
}

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

# cafe's
cafe.example.com, www.cafe.example.com {
	import common
	request_body {
		max_size 20MB
	}
	header X-Frame-Options DENY
	basicauth /admin/* {
		ann $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	handle_path /static/* {
		root * /srv/cafe/current/static
		file_server
	}
	redir /old /new permanent
	reverse_proxy unix//run/cafe-web/web.sock {
		header_up X-Real-IP {remote_host}
	}
}

http://menu.example.com {
	import common
	reverse_proxy localhost:8010 {
		transport http {
			response_header_timeout 60s
		}
	}
}
END
systemctl daemon-reload
systemctl enable --quiet --now myapi cafe menu
systemctl enable --quiet caddy
systemctl restart caddy
