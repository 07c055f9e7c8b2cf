#!/bin/sh
# Collects what a Debian's Python needs to deploy the scenario's app by itself, as an index that any web server can serve: the
# hosts reach none. Usage: index.sh PYTHON INTO, such as 3.11 and a directory.
set -eu
here=$(dirname "$0")
root=$here/../..
machine=$(uname -m)
abi=cp$(echo "$1" | tr -d .)
pins=$(cd "$root" && python3 - <<'PYTHON'
import ast, pathlib

def value(path, name):
    for item in ast.parse(pathlib.Path(path).read_text()).body:
        if isinstance(item, ast.Assign) and item.targets[0].id == name:
            return ast.literal_eval(item.value)

release = "plugins/plugin_utils/_release"
pins = value(f"{release}/requirements.py", "PINS") | {name.lower(): value(f"{release}/tools.py", name) for name in ("UV", "PIP")}
print(*(f"{name}=={version}" for name, version in pins.items()))
PYTHON
)
mkdir -p "$2/wheels"
sed -E 's/ *\\$//; /^ *--hash/d' "$root/roles/webhook/files/requirements.txt" >"$2/ansible.txt"
# shellcheck disable=SC2086
python3 -m pip --quiet --quiet --disable-pip-version-check download --dest "$2/wheels" --only-binary :all: --implementation cp \
    --python-version "$1" --abi "$abi" --abi abi3 --abi none \
    --platform manylinux_2_36_$machine --platform manylinux_2_34_$machine --platform manylinux_2_28_$machine \
    --platform manylinux_2_17_$machine --platform manylinux2014_$machine --platform any \
    -r "$2/ansible.txt" -r "$here/../swap/app/requirements.txt" $pins
for wheel in "$2"/wheels/*.whl; do
    name=$(basename "$wheel" | sed 's/-.*//' | tr '[:upper:]_.' '[:lower:]--')
    mkdir -p "$2/simple/$name"
    mv "$wheel" "$2/simple/$name/"
done
rmdir "$2/wheels"
