#!/bin/sh
# Fetches the S3 server that the tests run on, once, into $MILLRUN_TOOLS/s3 (default: .tools/s3 at the repository's
# root): S3Mock, by Maven. Needs Java 17 or newer.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${MILLRUN_TOOLS:-$root/.tools}
home=$tools/s3
artifact=com.adobe.testing:s3mock:5.0.0:jar:exec

for tool in java mvn; do
    command -v "$tool" >/dev/null || { echo "s3.sh: $tool is missing (Debian: default-jre-headless maven)" >&2; exit 1; }
done

# The receipt names what is there: same version, complete copy, nothing to do.
if [ -e "$home/receipt" ] && [ "$(cat "$home/receipt")" = "$artifact" ]; then
    exit 0
fi

mkdir -p "$tools"
fresh=$(mktemp -d "$tools/s3.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mvn --batch-mode --quiet dependency:copy -Dartifact="$artifact" -DoutputDirectory="$fresh" -Dmdep.stripVersion=true >/dev/null
mv "$fresh"/s3mock*.jar "$fresh/s3mock.jar"
echo "$artifact" >"$fresh/receipt"
chmod 755 "$fresh"
rm -rf "$home"
mv "$fresh" "$home"
trap - EXIT
echo "s3: $artifact in $home"
