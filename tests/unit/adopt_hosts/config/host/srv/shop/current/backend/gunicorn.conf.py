import multiprocessing
import os

bind = f"127.0.0.1:{os.environ.get('PORT', 8000)}"
workers = int(os.environ.get("WEB_CONCURRENCY", multiprocessing.cpu_count() * 2 + 1))
worker_class = "uvicorn.workers.UvicornWorker"
timeout = 90
graceful_timeout = 30
max_requests = 1000
accesslog = "-"


def post_fork(server, worker):
    server.log.info("forked")
