#!/usr/bin/env bash
# Holds what the gateway does against what it says: starts the built binary, judges its openapi.json, and lets schemathesis
# ask whatever the document allows and whatever it does not. Fails on any finding.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# These end the session that they are called with or use up what there is little of, so each gets a session of its own, after
# everything else. Guesses at the caller's password come last: after them nobody can sign in.
last=(logout confirm_password_reset change_password)

here=$PWD/tests/api
target=${CARGO_TARGET_DIR:-$PWD/target}
binary=${PORTCULLIS:-$target/debug/portcullis}
work=$(mktemp -d)
gateway=

finish() {
	local status=$?
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
	[ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
	# What it says beside the access log, where it started at all.
	[ "$status" -eq 0 ] || [ ! -s "$work/log" ] || grep -v '^{"time":' "$work/log" | tail -n 20 >&2
	rm -rf "$work"
}
trap finish EXIT

# Debian's own Python, whatever else is on the PATH; what is installed lasts until the list changes.
install() {
	local venv=$target/test-api/venv
	if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
		rm -rf "$venv"
		/usr/bin/python3 -m venv "$venv"
		"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
		cp "$here/requirements.txt" "$venv/installed.txt"
	fi
	PATH=$venv/bin:$PATH
}

start() {
	cat >"$work/portcullis.yaml" <<-YAML
		listen: { http: "127.0.0.1:0", ops: "127.0.0.1:0" }
		storage: { url: "sqlite://$work/portcullis.db" }
		secrets: { master_key: { file: "$work/master.key" } }
		tokens: { access_lifetime: 1h }
		mail: { transport: { directory: "$work/mail" } }
		# Nothing is proxied here, but there has to be something to stand in front of.
		upstreams: { nobody: { servers: ["127.0.0.1:1"] } }
		routes: [{ path: /, upstream: nobody, access: { any: [jwt] } }]
	YAML
	"$binary" migrate --config "$work/portcullis.yaml" >/dev/null
	"$binary" serve --config "$work/portcullis.yaml" >"$work/log" 2>&1 &
	gateway=$!
	local address
	for _ in $(seq 100); do
		address=$(sed -n 's/.*"serving","http":"\([^"]*\)".*/\1/p' "$work/log")
		[ -z "$address" ] || break
		kill -0 "$gateway" || return
		sleep 0.1
	done
	export PORTCULLIS_URL=http://$address PORTCULLIS_PREFIX=/api/v1/auth
	document=$PORTCULLIS_URL$PORTCULLIS_PREFIX/openapi.json
}

# Somebody who may do all that the document asks for, and somebody who forgets passwords.
create_callers() {
	export PORTCULLIS_FORGETFUL=forgetful@example.com PORTCULLIS_MAIL=$work/mail
	"$binary" users create --config "$work/portcullis.yaml" --username forgetful --email "$PORTCULLIS_FORGETFUL" \
		--password-stdin >/dev/null <<<'a password that is soon forgotten'
	export PORTCULLIS_USERNAME=tester PORTCULLIS_PASSWORD='correct horse battery staple'
	local scopes
	mapfile -t scopes < <(python3 - "$document" <<-'PYTHON'
		import json, sys, urllib.request
		document = json.load(urllib.request.urlopen(sys.argv[1]))
		operations = [operation for item in document["paths"].values() for operation in item.values()]
		for scope in sorted({scope for operation in operations for scope in operation.get("x-required-scopes", [])}):
		    print(f"--scope={scope}")
	PYTHON
	)
	"$binary" users create --config "$work/portcullis.yaml" --username "$PORTCULLIS_USERNAME" --email tester@example.com \
		--admin "${scopes[@]}" --password-stdin >/dev/null <<<"$PORTCULLIS_PASSWORD"
	key=$("$binary" keys create --config "$work/portcullis.yaml" --output json --name tester "${scopes[@]}" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')
}

bearer() {
	curl -fsS "$PORTCULLIS_URL$PORTCULLIS_PREFIX/token/" \
		--data-urlencode "username=$PORTCULLIS_USERNAME" --data-urlencode "password=$PORTCULLIS_PASSWORD" |
		python3 -c 'import json, sys; print("Authorization: Bearer " + json.load(sys.stdin)["access"])'
}

# ask CREDENTIAL OPTION...
ask() {
	local credential=$1
	shift
	(cd "$here" && st --no-color --config-file schemathesis.toml run "$document" --header "$credential" "$@")
}

every_operation_succeeded() {
	python3 - "$document" "$PORTCULLIS_SUCCEEDED" <<-'PYTHON'
		import json, sys, urllib.request
		document = json.load(urllib.request.urlopen(sys.argv[1]))
		there = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
		# The document itself has been read.
		missing = there - {"read_openapi"} - set(open(sys.argv[2]).read().split())
		for name in sorted(missing):
		    print(f"{name}: no request of it has succeeded; make one in good_requests.py", file=sys.stderr)
		sys.exit(bool(missing))
	PYTHON
}

install
start
create_callers
export PORTCULLIS_SUCCEEDED=$work/succeeded PYTHONDONTWRITEBYTECODE=1

python3 "$here/document.py" "$document"
echo 'The document is valid OpenAPI 3.1, and its examples fit.'

excluded=()
for operation in "${last[@]}"; do excluded+=(--exclude-operation-id "$operation"); done
token=$(bearer)
ask "$token" "${excluded[@]}"
ask "X-API-Key: $key" "${excluded[@]}" --max-examples 10
for operation in "${last[@]}"; do
	token=$(bearer)
	ask "$token" --include-operation-id "$operation" --max-examples 10
done
every_operation_succeeded
