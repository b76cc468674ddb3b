#!/bin/sh
# Takes out of an environment what a running devnet never reads: what builds, what types, what tests, data and symbols.
# usage: prune.sh ENVIRONMENT
set -eu
libraries=$1/lib/python3.11/site-packages

# Nothing that is imported imports these. grpcio belongs to interfaces that libp2p generates and leaves alone.
/opt/pip/bin/pip --python "$1/bin/python" uninstall --quiet --yes \
    grpcio maturin mypy-protobuf puccinialin tqdm types-protobuf types-requests
rm -rf "$libraries/examples" "$libraries"/netaddr/eui/*.txt "$libraries"/netaddr/eui/*.idx \
    "$libraries/pydantic/v1" "$libraries"/bitarray/test_*.py \
    "$libraries"/*.dist-info/RECORD "$libraries"/*.dist-info/sboms
find "$libraries/pygments" -path '*/lexers/[a-z]*.py' ! -name python.py -delete
find "$libraries/pygments" -path '*/styles/[a-z]*.py' ! -name default.py -delete
find "$libraries" -type d \( -name tests -o -name _tests -o -name SelfTest \) -prune -exec rm -rf {} +
find "$libraries" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \
    -o -name '*.cpp' -o -name '*.cc' -o -name '*.proto' \) -delete
find "$libraries" -type f -name '*.so*' -exec strip --strip-unneeded {} +
