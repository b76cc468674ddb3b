#!/bin/sh
# Takes out of an environment what a running devnet never reads: what builds, what types, what tests, and symbols.
# usage: prune.sh ENVIRONMENT
set -eu
libraries=$1/lib/python3.11/site-packages

pip --python "$1/bin/python" uninstall --quiet --yes \
    maturin puccinialin mypy-protobuf types-protobuf types-requests trio-typing
find "$libraries" -type d \( -name tests -o -name SelfTest \) -prune -exec rm -rf {} +
find "$libraries" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \
    -o -name '*.cpp' -o -name '*.cc' \) -delete
find "$libraries" -type f -name '*.so*' -exec strip --strip-unneeded {} +
