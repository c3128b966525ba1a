#!/bin/sh
# Fetches what the tests of `deploy/` run on, once: the CDK and cdk-nag into deploy/cdk/node_modules, as the lock file
# names them, and a linter of CloudFormation templates (PyPI cfn-lint) into $MILLRUN_TOOLS/deploy (default: .tools/deploy
# at the repository's root), in a virtual environment. Needs Node 20 or newer with npm, and Python 3 with venv.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${MILLRUN_TOOLS:-$root/.tools}
home=$tools/deploy
cdk=$root/deploy/cdk
requirements=$here/deploy-requirements.txt

for tool in node npm python3; do
    command -v "$tool" >/dev/null || { echo "deploy.sh: $tool is missing (Debian: nodejs npm python3-venv)" >&2; exit 1; }
done
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || {
    echo "deploy.sh: node is $(node --version), the CDK needs 20 or newer" >&2
    exit 1
}

# The receipts are copies of what names the versions: the same text, a complete installation, nothing to do.
if ! cmp -s "$cdk/package-lock.json" "$cdk/node_modules/.millrun-receipt"; then
    (cd "$cdk" && npm ci --silent --no-audit --no-fund)
    cp "$cdk/package-lock.json" "$cdk/node_modules/.millrun-receipt"
    echo "deploy: the CDK in $cdk/node_modules"
fi
if ! cmp -s "$requirements" "$home/receipt"; then
    rm -rf "$home"
    mkdir -p "$home"
    python3 -m venv "$home/python"
    "$home/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$home/receipt"
    echo "deploy: cfn-lint in $home"
fi
