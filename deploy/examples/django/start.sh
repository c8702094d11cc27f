#!/usr/bin/env bash
# The whole example at once: a backend of its own, its users moved into a gateway, and both of them running, until Ctrl-C.
# What it does step by step is told in docs/migrate-from-django.md. PORTCULLIS names the binary; by default it is on the PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
portcullis=${PORTCULLIS:-portcullis}

if [ ! -x venv/bin/gunicorn ]; then
	python3 -m venv venv
	venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements-before.txt
fi
PATH=$PWD/venv/bin:$PATH

if [ ! -e db.sqlite3 ]; then
	export DJANGO_SETTINGS_MODULE=shop.settings_before
	python manage.py migrate --verbosity 0
	python manage.py demo
	(umask 077 && python -c 'from shop.settings import SECRET_KEY; print(SECRET_KEY, end="")' >signing.key)
	"$portcullis" migrate --config portcullis.yaml
	"$portcullis" import django --config portcullis.yaml --from "sqlite://$PWD/db.sqlite3"
fi

export DJANGO_SETTINGS_MODULE=shop.settings
gunicorn --bind 127.0.0.1:8000 --log-level warning shop.wsgi &
backend=$!
trap 'kill "$backend" 2>/dev/null || true' EXIT
echo 'Try: curl http://127.0.0.1:8080/orders/ -H "X-API-Key: $(cat api.key)"'
"$portcullis" serve --config portcullis.yaml
