#!/bin/sh
# Installs what `make build` left in dist/, or takes it away again.
# usage: install.sh install|uninstall, with PREFIX (/usr/local), DESTDIR (none) and ZSH_COMPLETIONS in the environment
set -eu
umask 022
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix
zsh=${DESTDIR:-}${ZSH_COMPLETIONS:-$prefix/share/zsh/site-functions}
doc=$to/share/doc/evercall

copy() { # MODE FILE TARGET
    install -D -m "$1" "$2" "$3"
}

case ${1:-} in
install)
    # Fails before anything is installed.
    for made in evercall lib/libevercall.so man/evercall.1 completions/_evercall third-party-licences.txt evercall.conf; do
        [ -e "dist/$made" ] || { echo "install.sh: dist/$made is missing: make build" >&2; exit 1; }
    done
    copy 755 dist/evercall "$to/bin/evercall"
    # The folders of $LIB hold links to the one library.
    (cd dist/lib && find . -type f -o -type l) | while read -r file; do
        if [ -L "dist/lib/$file" ]; then
            install -d -m 755 "$(dirname "$to/lib/evercall/$file")"
            cp -P --remove-destination "dist/lib/$file" "$to/lib/evercall/$file"
        else
            # The shim is an ELF interpreter as well, what stands in for it elsewhere is not.
            [ -x "dist/lib/$file" ] && mode=755 || mode=644
            copy $mode "dist/lib/$file" "$to/lib/evercall/$file"
        fi
    done
    for page in dist/man/*.[15]; do
        copy 644 "$page" "$to/share/man/man${page##*.}/${page##*/}"
    done
    copy 644 dist/completions/evercall.bash "$to/share/bash-completion/completions/evercall"
    copy 644 dist/completions/evercall.fish "$to/share/fish/vendor_completions.d/evercall.fish"
    copy 644 dist/completions/_evercall "$zsh/_evercall"
    for file in README.md LICENSE-MIT LICENSE-APACHE docs/*; do
        copy 644 "$file" "$doc/$file"
    done
    copy 644 dist/third-party-licences.txt "$doc/third-party-licences.txt"
    copy 644 dist/evercall.conf "$doc/examples/evercall.conf"
    (cd deploy && find . -type f) | while read -r file; do
        copy 644 "deploy/$file" "$doc/examples/$file"
    done
    ;;
uninstall)
    rm -f "$to/bin/evercall" "$to"/share/man/man1/evercall.1 "$to"/share/man/man1/evercall-*.1 \
        "$to/share/man/man5/evercall.conf.5" "$to/share/bash-completion/completions/evercall" \
        "$to/share/fish/vendor_completions.d/evercall.fish" "$zsh/_evercall"
    rm -rf "$to/lib/evercall" "$doc"
    ;;
*)
    echo "install.sh: install or uninstall, not \"${1:-}\"" >&2
    exit 1
    ;;
esac
