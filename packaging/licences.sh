#!/bin/sh
# Prints the licences of what is linked into the static command: each text once, under the crates that it came with.
# usage: licences.sh TARGET
# Reads the crates' sources where cargo has unpacked them to build the command.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Lines "NAME vVERSION<TAB>LICENCE", ours and cargo's marks of repetition taken off.
"$cargo" tree --locked --quiet -p evercall -e normal --target "$1" --prefix none -f '{p}	{l}' |
    sed -e 's/ (\*)$//' -e 's/ (proc-macro)//' | grep -v '^evercall' | sort -u >"$work/crates"
[ -s "$work/crates" ]

cat <<END
The command evercall is a static program, built from these parts of others as well, under the licences that follow.

GNU C Library                            LGPL-2.1-or-later (https://www.gnu.org/software/libc/)
Rust's standard library                  MIT OR Apache-2.0 (https://github.com/rust-lang/rust)
END
while IFS='	' read -r crate licence; do
    printf '%-40s %s\n' "$(echo "$crate" | sed 's/ v/ /')" "$licence"
done <"$work/crates"

mkdir "$work/texts"
while IFS='	' read -r crate licence; do
    name=${crate% v*} version=${crate##* v}
    for folder in "$sources"/*/"$name-$version"; do
        find "$folder" -maxdepth 2 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'copyright*' \) | sort
    done | while read -r file; do
        sum=$(sha256sum <"$file")
        sum=${sum%% *}
        echo "$name $version" >>"$work/texts/$sum.of"
        [ -e "$work/texts/$sum" ] || cp "$file" "$work/texts/$sum"
    done
done <"$work/crates"

[ -n "$(ls "$work/texts")" ] || { echo "licences.sh: no sources of crates in $sources" >&2; exit 1; }

for of in "$work"/texts/*.of; do
    printf '\n==== of'
    sort -u "$of" | paste -s -d , | sed -e 's/,/, /g' -e 's/^/ /' -e 's/$/ ====/'
    echo
    cat "${of%.of}"
done
