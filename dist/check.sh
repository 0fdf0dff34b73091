#!/bin/sh
# Installs a package in a copy of this host, looks at what it brings, upgrades it and removes it. What
# is done to the copy goes with the mount namespace.
#
# usage, as root: unshare --mount sh check.sh PACKAGE EMPTY-DIRECTORY
set -eu

fail() {
    echo "error: $*" >&2
    exit 1
}

copy_host() {
    mount -t tmpfs tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/copy"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/copy"
    # Its /run is empty: no systemd runs there.
    for directory in dev proc; do
        mount --rbind "/$directory" "$1/copy/$directory"
    done
    mount -t tmpfs tmpfs "$1/copy/tmp"
}

check_files() {
    dpkg --verify ikexdp
    for file in /etc/ikexdp:2750:root:ikexdp /etc/ikexdp/ikexdp.toml:640:root:ikexdp /usr/sbin/ikexdp:755:root:root; do
        name=${file%%:*}
        [ "$name:$(stat --format %a:%U:%G "$name")" = "$file" ] || fail "not $file: $(stat "$name")"
    done
    for page in ikexdp.8 ikexdp-run.8 ikexdp-check.8 ikexdp-init.8 ikexdp-client-add.8 ikexdp.toml.5; do
        find /usr/share/man -name "$page.gz" | grep -q . || fail "no manual page $page"
    done
    find /usr/share/man -name 'ikexdp*.gz' | while read -r page; do
        gunzip --stdout "$page" | mandoc -T lint -W warning
    done
    bash -n /usr/share/bash-completion/completions/ikexdp
    grep -q '^#compdef ikexdp' /usr/share/zsh/vendor-completions/_ikexdp
    grep -q '^complete -c ikexdp' /usr/share/fish/vendor_completions.d/ikexdp.fish
    ikexdp --version
}

check_units() {
    verified=$(systemd-analyze verify ikexdp.service ikexdp.socket 2>&1) || fail "$verified"
    if echo "$verified" | grep ikexdp; then
        fail "systemd has something to say"
    fi
    # Exposure 2.1 of 10: what is left is what a gateway does.
    systemd-analyze security --offline=true --threshold=22 ikexdp.service | tail -1
}

# What is made by root in place of the example can be read by the daemon's user, but for the authority's key.
check_init() {
    cp -p /etc/ikexdp/ikexdp.toml /tmp/example
    ikexdp init --name vpn.example.com --interface lo
    said=$(setpriv --reuid ikexdp --regid ikexdp --clear-groups ikexdp check 2>&1) || fail "$said"
    key=/etc/ikexdp/pki/ca.key
    [ "$(stat --format %a:%U "$key")" = 600:root ] || fail "not root's alone: $(stat "$key")"
    ikexdp client add laptop --for linux
    [ "$(stat --format %U "/etc/ikexdp/clients/laptop")" = root ] || fail "nothing is written for a client"
    rm -r /etc/ikexdp/pki /etc/ikexdp/clients /etc/ikexdp/users.toml
    mv /tmp/example /etc/ikexdp/ikexdp.toml
}

# The example names three files that only the administrator has; with them, it is good.
check_example() {
    said=$(ikexdp check 2>&1) && fail "the example is taken as it is: $said"
    [ "$(echo "$said" | grep -c ': file cannot be read: /etc/ikexdp/')" = 3 ] &&
        [ "$(echo "$said" | grep -c '^error: ')" = 3 ] || fail "$said"
    (
        cd /etc/ikexdp
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=gateway -keyout gateway.key -out gateway.csr
        printf 'subjectAltName = DNS:vpn.example.com\nextendedKeyUsage = serverAuth\n' >extensions
        openssl x509 -req -in gateway.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out gateway.pem
        chmod g+r gateway.key
    ) >/tmp/openssl 2>&1 || fail "$(cat /tmp/openssl)"
    said=$(setpriv --reuid ikexdp --regid ikexdp --clear-groups ikexdp check 2>&1) || fail "$said"
    echo "$said"
    # What is said of this host is none of the example's.
    ! echo "$said" | grep '^warning: ' | grep -v '^warning: this host: ' || fail "there are warnings"
}

check_upgrade_and_removal() {
    sed -i 's/eth0/wan0/' /etc/ikexdp/ikexdp.toml
    dpkg --install "$1"
    grep -q wan0 /etc/ikexdp/ikexdp.toml || fail "an upgrade takes the configuration away"
    dpkg --remove ikexdp
    [ -e /etc/ikexdp/ikexdp.toml ] || fail "a removal takes the configuration away"
    find /etc/ikexdp -type f ! -name ikexdp.toml -delete
    mkdir -p /var/lib/ikexdp
    dpkg --purge ikexdp
    for left in /etc/ikexdp /var/lib/ikexdp /usr/sbin/ikexdp /etc/systemd/system/ikexdp.service; do
        [ ! -e "$left" ] || fail "left behind: $left"
    done
}

if [ "$1" != --inside ]; then
    copy_host "$2"
    cp "$1" "$2/copy/tmp/ikexdp.deb"
    cp "$0" "$2/copy/tmp/check.sh"
    exec chroot "$2/copy" sh /tmp/check.sh --inside /tmp/ikexdp.deb
fi
cd /
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
dpkg --install "$2"
check_files
check_units
check_init
check_example
check_upgrade_and_removal "$2"
echo "the package is good"
