#!/bin/sh
# Gathers what an image of the engine consists of: the binary, what it links dynamically, certificate authorities.
#
#   gather.sh BINARY ROOT     fills the empty directory ROOT, and runs the binary in it to see that nothing is missing
#
# Runs in a Debian container. Which libraries there are, and where, is asked of the loader, so that it is the same for
# every architecture. Each library's package is recorded as scanners of images expect it (/var/lib/dpkg/status.d),
# with its licence.
set -eu

binary=$1
root=$2
authorities=/etc/ssl/certs/ca-certificates.crt

mkdir -p "$root/usr/local/bin" "$root/etc" "$root/var/lib/dpkg/status.d"
cp "$binary" "$root/usr/local/bin/millrun"

# "name => /path (address)" for libraries, "/path (address)" for the loader itself, no path for the kernel's own.
linked=$(ldd "$binary")
case $linked in
    *"not found"*)
        echo "gather.sh: libraries are missing here, or older than those that $binary was linked with:" >&2
        echo "$linked" >&2
        exit 1
        ;;
esac
files="$authorities $(echo "$linked" | grep -o '/[^ ]*')"

# The package of a file. dpkg knows it by the path that it was unpacked to: before /lib became a link to /usr/lib,
# or after.
package_of() {
    { dpkg-query --search "$1" || dpkg-query --search "/usr$1" || dpkg-query --search "${1#/usr}"; } 2>/dev/null |
        head -n 1 | sed 's/: .*//'
}

for file in $files; do
    cp --dereference --parents "$file" "$root"
    # The authorities' file is put together when their package is installed.
    if [ "$file" = "$authorities" ]; then package=ca-certificates; else package=$(package_of "$file"); fi
    if [ -z "$package" ]; then
        echo "gather.sh: $file belongs to no package" >&2
        exit 1
    fi
    name=${package%%:*}
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$name"
    cp --dereference --parents "/usr/share/doc/$name/copyright" "$root"
done

# Without it glibc asks the name servers before /etc/hosts.
echo "hosts: files dns" >"$root/etc/nsswitch.conf"

chroot "$root" /usr/local/bin/millrun --version
