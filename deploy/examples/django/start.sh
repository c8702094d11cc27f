#!/usr/bin/env bash
# The whole example at once: a backend of its own, its users moved into a gateway, and both of them running, until Ctrl-C.
# What it does step by step is told in docs/migrate-from-django.md. PORTCULLIS names the binary; by default it is on the PATH.
# GATEWAY_PORT, OPS_PORT and BACKEND_PORT are the ports of loopback, where those of portcullis.yaml are taken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
portcullis=${PORTCULLIS:-portcullis}
gateway=127.0.0.1:${GATEWAY_PORT:-8080}
ops=127.0.0.1:${OPS_PORT:-9180}
backend=127.0.0.1:${BACKEND_PORT:-8000}
config=started.yaml

if [ ! -x venv/bin/gunicorn ]; then
	python3 -m venv venv
	venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements-before.txt
fi
PATH=$PWD/venv/bin:$PATH

sed "s/127\.0\.0\.1:8080/$gateway/; s/127\.0\.0\.1:9180/$ops/; s/127\.0\.0\.1:8000/$backend/" portcullis.yaml >"$config"

if [ ! -e db.sqlite3 ]; then
	export DJANGO_SETTINGS_MODULE=shop.settings_before
	python manage.py migrate --verbosity 0
	python manage.py demo
	(umask 077 && python -c 'from shop.settings import SECRET_KEY; print(SECRET_KEY, end="")' >signing.key)
	"$portcullis" migrate --config "$config"
	"$portcullis" import django --config "$config" --from "sqlite://$PWD/db.sqlite3"
fi

export DJANGO_SETTINGS_MODULE=shop.settings GATEWAY=http://$gateway
gunicorn --bind "$backend" --log-level warning shop.wsgi &
serving=$!
trap 'kill "$serving" 2>/dev/null && wait "$serving" || true' EXIT
echo "Try: curl http://$gateway/orders/ -H \"X-API-Key: \$(cat api.key)\""
"$portcullis" serve --config "$config"
