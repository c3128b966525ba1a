#!/bin/sh
# Fetches what the Kafka tests run on, once: the broker's jars into $MILLRUN_TOOLS/kafka (default: .tools/kafka at the
# repository's root). Needs a JDK 17 (the tests compile a class for the broker), Maven, and openssl; kcat reads the topics back.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${MILLRUN_TOOLS:-$root/.tools}
pom=$here/kafka/pom.xml
jars=$tools/kafka

for tool in java javac mvn kcat openssl; do
    command -v "$tool" >/dev/null || { echo "kafka.sh: $tool is missing (Debian: openjdk-17-jdk-headless maven kcat openssl)" >&2; exit 1; }
done

# The copied pom is the receipt: same pom, complete copy, nothing to do.
if cmp -s "$pom" "$jars/pom.xml"; then
    exit 0
fi

mkdir -p "$tools"
fresh=$(mktemp -d "$tools/kafka.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mvn --batch-mode --quiet -f "$pom" dependency:copy-dependencies -DoutputDirectory="$fresh"
cp "$pom" "$fresh/pom.xml"
chmod 755 "$fresh"
rm -rf "$jars"
mv "$fresh" "$jars"
trap - EXIT
echo "kafka: $(ls "$jars"/*.jar | wc -l) jars in $jars"
