#!/usr/bin/env bash
# Makes sure that what the build and the tests call is there. As root on Debian it is installed; otherwise this says what
# to install, and fails, because a test that cannot run must not look like one that passed.
set -euo pipefail

packages=()

# need PACKAGES COMMAND...: the packages are needed where the command does not succeed.
need() {
	local wanted=$1
	shift
	"$@" >/dev/null 2>&1 || read -ra packages <<<"${packages[*]} $wanted"
}

find_initdb() {
	local programs=(/usr/lib/postgresql/*/bin/initdb)
	[ -x "${programs[0]}" ]
}

find_missing() {
	packages=()
	# SQLite, zlib, zstd and AWS-LC are C.
	need 'gcc libc6-dev' cc --version
	need curl curl --version
	# Backends that are not ours, to stand in front of.
	need nginx-light test -x /usr/sbin/nginx
	# Other people's code checks our tokens.
	need 'python3 python3-jwt python3-cryptography' /usr/bin/python3 -c 'import jwt, cryptography'
	# What a phone computes.
	need oathtool oathtool --version
	# A reader of QR codes, and what draws an SVG for it.
	need zbar-tools zbarimg --version
	need librsvg2-bin rsvg-convert --version
	# A mail server that is not ours, to send to.
	need 'python3 python3-aiosmtpd' /usr/bin/python3 -c 'import aiosmtpd'
	# A second cache level, to be killed, hung and filled up.
	need 'redis-server redis-tools' sh -c 'redis-server --version && redis-cli --version'
	# Database servers of the tests' own; tests/postgres/server.rs starts them.
	need postgresql find_initdb
	need util-linux setpriv --version
	# What stands in front of several gateways.
	need haproxy haproxy -v
	# What judges the API against its description comes from PyPI, into a place of its own.
	need 'python3 python3-venv' /usr/bin/python3 -c 'import venv, ensurepip'
}

find_missing
[ ${#packages[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "The tests need what these Debian packages bring: ${packages[*]}" >&2
	echo "Install them, or run this as root on Debian: apt-get install ${packages[*]}" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# A server that installs itself must not start itself: the tests run their own, on loopback.
export RUNLEVEL=1
apt-get install -qy --no-install-recommends "${packages[@]}"

find_missing
if [ ${#packages[@]} -ne 0 ]; then
	echo "These packages are installed, and what they should bring still does not work: ${packages[*]}" >&2
	exit 1
fi
