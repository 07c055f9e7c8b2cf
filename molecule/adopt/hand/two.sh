# Two apps in one file of nginx': books with a certificate by certbot, bills with one that somebody bought.
set -e
for name in books bills; do
    useradd --system --home-dir /srv/code/$name --shell /usr/sbin/nologin $name
    mkdir -p /srv/code
    cp -a /opt/hand/app /srv/code/$name
    mkdir /srv/code/$name/static
    echo "a file of $name" >/srv/code/$name/static/a.txt
    chown -R $name:$name /srv/code/$name
done
mkdir -p /var/uploads /etc/ssl/bills
echo "somebody's own" >/var/uploads/own.txt
cat >/etc/systemd/system/books.service <<'END'
[Service]
User=books
WorkingDirectory=/srv/code/books
ExecStart=/usr/bin/gunicorn app.main:app -k uvicorn.workers.UvicornWorker --workers 2 --bind 127.0.0.1:8001 --keep-alive 15
Restart=always

[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/bills.service <<'END'
[Service]
User=bills
WorkingDirectory=/srv/code/bills
ExecStart=/usr/bin/python3 -m uvicorn app.main:app --port 8002
Restart=always

[Install]
WantedBy=multi-user.target
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=bills.example.org \
    -addext subjectAltName=DNS:bills.example.org -keyout /etc/ssl/bills/key.pem -out /etc/ssl/bills/chain.pem 2>/dev/null
# Who asks trusts it.
cp /etc/ssl/bills/chain.pem /usr/local/share/ca-certificates/bills.crt
update-ca-certificates >/dev/null 2>&1
# ann's password is correct-horse.
printf 'ann:%s\n' '$2y$05$ZkJ1b2Xv3J1q1yQe9o5w1uYw8m6k0b7cK5dQ0qJw4l2n1h8v7r6Ka' >/etc/nginx/books.htpasswd
cat >/etc/nginx/sites-available/apps <<'END'
server {
    listen 80;
    server_name books.example.org www.books.example.org;
    client_max_body_size 0;
    add_header X-Robots-Tag noindex;

    location /static/ {
        alias /srv/code/books/static/;
        expires 30d;
    }
    location /uploads/ {
        alias /var/uploads/;
    }
    location /admin {
        auth_basic "Restricted";
        auth_basic_user_file books.htpasswd;
        proxy_pass http://127.0.0.1:8001;
    }
    location / {
        proxy_pass http://127.0.0.1:8001;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
}
server {
    listen 443 ssl;
    server_name bills.example.org;
    ssl_certificate /etc/ssl/bills/chain.pem;
    ssl_certificate_key /etc/ssl/bills/key.pem;
    location / {
        proxy_pass http://127.0.0.1:8002;
    }
}
END
ln -s /etc/nginx/sites-available/apps /etc/nginx/sites-enabled/apps
systemctl daemon-reload
systemctl enable --quiet --now books bills
systemctl reload nginx
certbot --nginx --quiet --non-interactive --agree-tos --register-unsafely-without-email --redirect \
    -d books.example.org -d www.books.example.org --server https://acme.test:9443/acme/local/directory
# In a container there is a timer only where systemd has been told of it.
systemctl enable --quiet --now certbot.timer
