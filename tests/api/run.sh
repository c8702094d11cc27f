#!/usr/bin/env bash
# Holds what the gateway does against what it says: starts the built binary, judges its openapi.json, and lets schemathesis
# ask whatever the document allows and whatever it does not. Fails on any finding.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

here=$PWD/tests/api
target=${CARGO_TARGET_DIR:-$PWD/target}
binary=${PORTCULLIS:-$target/debug/portcullis}
work=$(mktemp -d)
password='correct horse battery staple'
gateway=

finish() {
	local status=$?
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
	[ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
	# What it says beside the access log, where it started at all.
	[ "$status" -eq 0 ] || [ ! -s "$work/log" ] || grep -Ev '^\{"(time|log)":|a mail was sent' "$work/log" | tail -n 20 >&2
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
		# The caller's token is to open all that a key opens.
		second_factor: { administration: false }
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
	export PORTCULLIS_API=http://$address/api/v1/auth
	api=$PORTCULLIS_API
	document=$api/openapi.json
}

# Somebody who may do all that the document asks for, a key that may, and another such key for the test itself.
create_caller() {
	local scopes
	mapfile -t scopes < <(python3 - "$document" <<-'PYTHON'
		import json, sys, urllib.request
		document = json.load(urllib.request.urlopen(sys.argv[1]))
		operations = [operation for item in document["paths"].values() for operation in item.values()]
		for scope in sorted({scope for operation in operations for scope in operation.get("x-required-scopes", [])}):
		    print(f"--scope={scope}")
	PYTHON
	)
	"$binary" users create --config "$work/portcullis.yaml" --username caller --email caller@example.com \
		--admin "${scopes[@]}" --password-stdin >/dev/null <<<"$password"
	# The ids of both keys: any request may meet them in a list, and none may end them.
	export PORTCULLIS_SPARED=
	local name
	for name in caller keeper; do
		"$binary" keys create --config "$work/portcullis.yaml" --output json --name "$name" "${scopes[@]}" |
			python3 -c 'import json, sys; made = json.load(sys.stdin); print(made["key"], made["id"], sep="\n")' >"$work/$name"
		sed -n 1p "$work/$name" >"$work/$name.key"
		PORTCULLIS_SPARED+=" $(sed -n 2p "$work/$name")"
	done
	export PORTCULLIS_KEEPER
	PORTCULLIS_KEEPER=$(<"$work/keeper.key")
}

bearer() {
	curl -fsS "$api/token/" --data-urlencode username=caller --data-urlencode "password=$password" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["access"])'
}

# ask CREDENTIAL OPTION...
ask() {
	export PORTCULLIS_CREDENTIAL=$1
	shift
	(cd "$here" && st --no-color --config-file schemathesis.toml run "$document" --header "$PORTCULLIS_CREDENTIAL" "$@")
	# All of it was judged as the caller's, to the end.
	curl -fsS -o "$work/me" --header "$PORTCULLIS_CREDENTIAL" "$api/me/"
}

every_operation_succeeded() {
	python3 - "$document" "$PORTCULLIS_RECORD" <<-'PYTHON'
		import json, sys, urllib.request
		document = json.load(urllib.request.urlopen(sys.argv[1]))
		record = open(sys.argv[2], encoding="utf-8").read().splitlines()
		wanted = set()
		for operation in (operation for item in document["paths"].values() for operation in item.values()):
		    schemes = {scheme for alternative in operation["security"] for scheme in alternative} or {"bearer", "api_key"}
		    headers = {"bearer": "Authorization", "api_key": "X-API-Key"}
		    wanted |= {f"{headers[scheme]} {operation['operationId']}" for scheme in schemes}
		# The document itself has been read.
		wanted = {line for line in wanted if not line.endswith(" read_openapi")}
		faults = [f"{line}: no such request has succeeded; make one in good_requests.py" for line in wanted - set(record)]
		faults += [line for line in record if line.startswith("refused ")]
		print("\n".join(sorted(faults)), file=sys.stderr)
		sys.exit(bool(faults))
	PYTHON
}

install
start
create_caller
export PORTCULLIS_RECORD=$work/record PORTCULLIS_MAIL=$work/mail PYTHONDONTWRITEBYTECODE=1

python3 "$here/document.py" "$document"
echo 'The document is valid OpenAPI 3.1, and its examples fit.'

token=$(bearer)
ask "Authorization: Bearer $token"
ask "X-API-Key: $(<"$work/caller.key")" --max-examples 10
every_operation_succeeded
