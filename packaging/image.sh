#!/bin/sh
# Makes the base image of what `make build` left in dist/: the same files and the same commit make the same bytes.
# usage: image.sh ARCHIVE, with SOURCE_DATE_EPOCH (the commit's time) and SOURCE_URL (none)
set -eu
archive=$1
case $archive in /*) ;; *) archive=$PWD/$archive ;; esac
cd "$(dirname "$0")/.."

# A tree without git, such as a release tarball, has neither.
revision=$(git rev-parse HEAD 2>/dev/null) || revision=
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null)} || SOURCE_DATE_EPOCH=
export SOURCE_DATE_EPOCH

dist/evercall generate image -o "$archive" --force --library dist/libevercall.so --command dist/evercall \
    --licence LICENSE-MIT --licence LICENSE-APACHE --licence dist/third-party-licences.txt \
    --revision "$revision" --source "${SOURCE_URL:-}"
echo "$archive"
