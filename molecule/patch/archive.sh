#!/bin/sh
# Makes a package of one version, and puts it into an archive below /opt/archive, as apt knows Debian's own by its label.
# Usage: archive.sh LABEL NAME VERSION [COMMANDS]    the commands are its postinst's
set -eu
label=$1 name=$2 version=$3 commands=${4:-true}
archive=/opt/archive/$label build=$(mktemp -d)
mkdir -p "$archive" "$build/DEBIAN" "$build/usr/share/$name"
echo "$version" >"$build/usr/share/$name/version"
printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A Test <test@example.org>\nDescription: a test\n' \
    "$name" "$version" >"$build/DEBIAN/control"
printf '#!/bin/sh\nset -e\n%s\n' "$commands" >"$build/DEBIAN/postinst"
chmod 755 "$build" "$build/DEBIAN/postinst"
dpkg-deb --root-owner-group --build "$build" "$archive/${name}_$version.deb" >/dev/null
rm -rf "$build"
cd "$archive"
for file in *.deb; do
    dpkg-deb --field "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d ' ' -f 1)"
done >Packages
printf 'Origin: Debian\nLabel: %s\nSuite: stable\nCodename: test\nDate: %s\nArchitectures: all amd64 arm64\nSHA256:\n %s %s Packages\n' \
    "$label" "$(LC_ALL=C date -u -R)" "$(sha256sum Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)" >Release
# Nothing else, so that nothing is asked of the network.
rm -f /etc/apt/sources.list.d/*
: >/etc/apt/sources.list
# Not file:, whose lists are the archive itself, as new as that.
for each in /opt/archive/*; do echo "deb [trusted=yes] copy:$each ./" >>/etc/apt/sources.list; done
