bind = "unix:/run/clean/app.sock"
worker_class = "workers.UvicornWorker"
workers = 1
timeout = 30
graceful_timeout = 30
keepalive = 5
umask = 0o007
