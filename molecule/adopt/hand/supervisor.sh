# A Gunicorn under supervisord, behind nginx.
set -e
useradd --system --home-dir /srv/stock --shell /usr/sbin/nologin stock
cp -a /opt/hand/app /srv/stock
chown -R stock:stock /srv/stock
cat >/etc/supervisor/conf.d/stock.conf <<'INI'
[program:stock]
directory=/srv/stock
command=/usr/bin/gunicorn app.main:app -k uvicorn.workers.UvicornWorker -w 2 -b 127.0.0.1:9000 --graceful-timeout 20
user=stock
environment=LOG_LEVEL="info",API_TOKEN="9f8e7d6c5b4a39281706f5e4d3c2b1a0"
autorestart=true
stopwaitsecs=30
; A person's own words.
stdout_logfile=/var/log/stock.log
redirect_stderr=true
INI
cat >/etc/nginx/conf.d/stock.conf <<'END2'
server {
    listen 80;
    server_name stock.example.org;
    location ~* \.php$ {
        return 404;
    }
    location / {
        proxy_pass http://localhost:9000;
        proxy_set_header Host $host;
        proxy_read_timeout 60s;
    }
}
END2
systemctl enable --quiet --now supervisor
supervisorctl update >/dev/null
systemctl reload nginx
