#!/bin/bash
set -e
cd /srv/shop/current/backend
source ../venv/bin/activate
export MODE=live
exec gunicorn --workers "${WORKERS:-9}" --config gunicorn.conf.py "shop.api:create_app()"
