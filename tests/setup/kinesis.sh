#!/bin/sh
# Fetches what the Kinesis tests run on, once, into $MILLRUN_TOOLS/kinesis (default: .tools/kinesis at the repository's
# root): the server (npm kinesis-local) and an independent reader of aggregated records (PyPI aws-kinesis-agg, in a
# virtual environment of its own). Needs Node 18 or newer with npm, and Python 3 with venv.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${MILLRUN_TOOLS:-$root/.tools}
home=$tools/kinesis
server=kinesis-local@0.6.2
reader=aws-kinesis-agg==1.2.3
# What the reader needs and does not ask for, and the protobuf that its generated code was made for.
needs="six==1.17.0 protobuf==3.20.3"

for tool in node npm python3; do
    command -v "$tool" >/dev/null || { echo "kinesis.sh: $tool is missing (Debian: nodejs npm python3-venv)" >&2; exit 1; }
done

# The receipt names what is there: same versions, complete copy, nothing to do.
receipt="$server $reader $needs"
if [ -e "$home/receipt" ] && [ "$(cat "$home/receipt")" = "$receipt" ]; then
    exit 0
fi

mkdir -p "$tools"
fresh=$(mktemp -d "$tools/kinesis.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
npm install --silent --no-audit --no-fund --prefix "$fresh/server" "$server"
# A virtual environment knows its own path, so it is made where it stays.
rm -rf "$home"
mkdir -p "$home"
mv "$fresh/server" "$home/server"
rm -rf "$fresh"
trap - EXIT
python3 -m venv "$home/python"
"$home/python/bin/pip" install --quiet --disable-pip-version-check "$reader" $needs
echo "$receipt" >"$home/receipt"
echo "kinesis: $server and $reader in $home"
