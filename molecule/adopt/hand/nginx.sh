# A tutorial's Gunicorn on a unix socket, and an Uvicorn on a port; nginx in front of both, as people write that.
set -e
useradd --create-home sammy
chmod 755 /home/sammy
cp -a /opt/hand/app /home/sammy/myproject
chown -R sammy:sammy /home/sammy/myproject
cat >/etc/systemd/system/myproject.service <<'END'
[Unit]
Description=Gunicorn instance to serve myproject
After=network.target

[Service]
User=sammy
Group=www-data
WorkingDirectory=/home/sammy/myproject
Environment="SECRET_KEY=9f8e7d6c5b4a39281706f5e4d3c2b1a0"
ExecStart=/usr/bin/gunicorn -w 2 -k uvicorn.workers.UvicornWorker --bind unix:myproject.sock -m 007 app.main:app

[Install]
WantedBy=multi-user.target
END
cat >/etc/nginx/sites-available/myproject <<'END'
server {
    listen 80;
    server_name your-domain.org www.your-domain.org;

    location / {
        include proxy_params;
        proxy_pass http://unix:/home/sammy/myproject/myproject.sock;
    }
}
END
ln -s /etc/nginx/sites-available/myproject /etc/nginx/sites-enabled/myproject

cp -a /opt/hand/app /opt/shop
printf 'MODE=live\nDATABASE_URL=postgresql://shop:correct-horse@127.0.0.1/shop\n' >/opt/shop/.env
chmod 600 /opt/shop/.env
cat >/etc/systemd/system/shop.service <<'END'
[Service]
WorkingDirectory=/opt/shop
EnvironmentFile=/opt/shop/.env
ExecStart=/usr/bin/python3 -m uvicorn app.main:app --host 127.0.0.1 --port 8080 --workers 2
Restart=always

[Install]
WantedBy=multi-user.target
END
cat >/etc/nginx/conf.d/shop.conf <<'END'
upstream shop {
    server 127.0.0.1:8080;
}
server {
    listen 80;
    server_name shop.example.org;
    client_max_body_size 8m;
    location / {
        proxy_pass http://shop;
        proxy_set_header Host $host;
    }
}
END
systemctl daemon-reload
systemctl enable --quiet --now myproject shop
systemctl enable --quiet nginx
systemctl restart nginx
