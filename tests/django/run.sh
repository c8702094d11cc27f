#!/usr/bin/env bash
# Follows docs/migrate-from-django.md as it is written, on a copy of the example: the old stack alone, the import, the
# cut-over, and the way back. Then the example's own start.sh, on another copy. The ports are free ones, and the environment
# lasts until the list of packages changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

root=$PWD
target=${CARGO_TARGET_DIR:-$PWD/target}
binary=${PORTCULLIS:-$target/debug/portcullis}
venv=$target/test-django/venv
work=$(mktemp -d)

finish() {
	local status=$?
	local pid
	for pid in "$work"/*/django.pid; do
		[ ! -s "$pid" ] || kill "$(<"$pid")" 2>/dev/null || true
	done
	[ ! -s "$work/gateway.pid" ] || kill "$(<"$work/gateway.pid")" 2>/dev/null || true
	[ "$status" -eq 0 ] || tail -n 40 "$work/said" "$work/asked" "$work"/*/portcullis.log "$work/started" >&2 || true
	rm -rf "$work"
}
trap finish EXIT

if ! cmp -s tests/django/requirements.txt "$venv/installed.txt"; then
	rm -rf "$venv"
	/usr/bin/python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/django/requirements.txt
	cp tests/django/requirements.txt "$venv/installed.txt"
fi

free_ports() {
	/usr/bin/python3 - <<-'PYTHON'
		import socket
		sockets = [socket.socket() for _ in range(3)]
		for s in sockets:
		    s.bind(("127.0.0.1", 0))
		print(*(s.getsockname()[1] for s in sockets))
	PYTHON
}
read -r backend gateway ops < <(free_ports)

mkdir -p "$work/bin"
ln -s "$binary" "$work/bin/portcullis"
cp -r deploy/examples/django "$work/example"
ln -s "$venv" "$work/example/venv"
sed -i "s/127.0.0.1:8080/127.0.0.1:$gateway/; s/127.0.0.1:9180/127.0.0.1:$ops/; s/127.0.0.1:8000/127.0.0.1:$backend/" "$work/example/portcullis.yaml"

# The commands, in their order: with the ports above, with packages that are there already, and with the process of the
# gateway written down, should something go wrong.
awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' docs/migrate-from-django.md |
	sed -e "s/127.0.0.1:8080/127.0.0.1:$gateway/; s/127.0.0.1:8000/127.0.0.1:$backend/" \
		-e 's|^cd deploy/examples/django$|cd example|' \
		-e '/^python3 -m venv venv$/d; /^venv\/bin\/pip install /d' \
		-e "/^SERVING=/a echo \$SERVING > ../gateway.pid" >"$work/journey.sh"
[ "$(wc -l <"$work/journey.sh")" -gt 45 ]
(cd "$work" && GATEWAY=http://127.0.0.1:$gateway PATH=$work/bin:$PATH bash -euo pipefail -v journey.sh) >"$work/said" 2>"$work/asked"

# What was answered, one after the other.
/usr/bin/python3 - "$work/said" "$work/example/report.json" <<-'PYTHON'
	import json, sys

	said = open(sys.argv[1], encoding="utf-8").read()
	at = 0

	def then(text):
	    global at
	    found = said.find(text, at)
	    assert found >= 0, f"not answered, or not in this order: {text}\n{said[at:]}"
	    at = found + len(text)

	user = '{"id":1,"username":"bert","orders":[]}'
	anna = '{"id":2,"username":"anna","orders":["a lamp for anna"]}'
	service = '{"service":"stocktaking","orders":["a lamp for anna"]}'
	# The backend alone.
	then("{}")
	then(anna)
	then('"orders":["a lamp for anna"]')
	then("portcullis.yaml is valid")
	then("A trial run: nothing was changed.")
	then("Taken over.")
	# Behind the gateway, with what is from before.
	then(anna)
	then(service)
	then(anna)
	then('"Token is blacklisted"')
	# Signing in anew.
	then('{"refresh":"')
	then('{"refresh":"')
	then('{"refresh":"')
	then('"detail":"The code is not valid."')
	# And the backend alone again.
	then(anna)
	then('"orders":["a lamp for anna"]')

	report = json.load(open(sys.argv[2], encoding="utf-8"))
	users = report["tables"]["auth_user"]
	assert (users["read"], users["unchanged"], users["added"]) == (2, 2, 0), report
	assert report["formats"]["api_keys"] == {"sha512": 1}, report
PYTHON
[ "$(wc -l <deploy/examples/django/shop/authentication.py)" -le 60 ]
echo 'The guide to moving in works as it is written.'

# All at once: what it tells to try is tried, and Ctrl-C ends both.
cp -r deploy/examples/django "$work/at-once"
ln -s "$venv" "$work/at-once/venv"
read -r backend gateway ops < <(free_ports)
export BACKEND_PORT=$backend GATEWAY_PORT=$gateway OPS_PORT=$ops
PORTCULLIS=$binary /usr/bin/python3 - "$work/at-once" "$work/started" <<-'PYTHON'
	import os, pathlib, signal, socket, subprocess, sys, time

	place, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
	ports = [int(os.environ[name]) for name in ("BACKEND_PORT", "GATEWAY_PORT", "OPS_PORT")]

	def ctrl_c_works():
	    signal.signal(signal.SIGINT, signal.SIG_DFL)

	with output.open("w") as said:
	    both = subprocess.Popen(
	        ["./start.sh"], cwd=place, stdout=said, stderr=said, start_new_session=True, preexec_fn=ctrl_c_works
	    )

	def attempt():
	    tries = [line for line in output.read_text().splitlines() if line.startswith("Try: ")]
	    if not tries:
	        return None
	    command = tries[0].removeprefix("Try: ")
	    return subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True).stdout

	try:
	    deadline = time.monotonic() + 120
	    expected = '{"service":"stocktaking","orders":["a lamp for anna"]}'
	    while (answer := attempt()) != expected:
	        assert both.poll() is None, f"it has ended: {both.returncode}"
	        assert time.monotonic() < deadline, f"what it tells to try is answered {answer!r}"
	        time.sleep(0.2)
	    for port in ports:
	        socket.create_connection(("127.0.0.1", port)).close()
	    os.killpg(both.pid, signal.SIGINT)
	    both.wait(60)
	    for port in ports:
	        with socket.socket() as probe:
	            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
	finally:
	    try:
	        os.killpg(both.pid, signal.SIGKILL)
	    except ProcessLookupError:
	        pass
PYTHON
echo 'The example starts, answers and ends.'
cd "$root"
