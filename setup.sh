# Sourced by ./run and ./test: makes .venv/ and keeps it in step with pyproject.toml. POSIX sh.
# Sets VENV. Nothing outside the project's folder is changed, but for apt packages when root.

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

PROJECT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
VENV="$PROJECT/.venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1

# The first interpreter that is new enough: Debian's own, or whatever the person has put before it.
find_python() {
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# install_debian PACKAGE...: as root installs them, else prints the one line to type and ends.
install_debian() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "Something is missing that only the system can install. Type this, then try again:"
        say ""
        stop "    sudo apt install $*"
    fi
    say "Installing $* …"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
        >/dev/null 2>&1 && return 0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "$@"; } >/dev/null 2>&1 \
        || stop "apt could not install: $*. Is this machine online?"
}

# set_up EXTRAS: an environment that holds at least the base and these extras, e.g. "[peer]".
set_up() {
    python=$(find_python) || stop "Homepost needs Python 3.11 or newer (Debian 12 has it: sudo apt install python3)."
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_debian python3-venv
        python=$(find_python)
    fi
    stamp=$(cksum <"$PROJECT/pyproject.toml" | tr -d ' ')
    if [ "$(cat "$VENV/.stamp$1" 2>/dev/null)" = "$stamp" ] && [ -x "$VENV/bin/python" ]; then
        return 0
    fi
    if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        say "Making a place for Homepost’s libraries in .venv/ …"
        rm -rf "$VENV"
        "$python" -m venv "$VENV" >&2 || stop "Python could not make $VENV."
    fi
    say "Fetching libraries (this happens once) …"
    (cd "$PROJECT" && "$VENV/bin/python" -m pip install --quiet --editable ".$1") >&2 \
        || stop "The libraries could not be fetched; what pip said stands above. Is this machine online?"
    printf '%s\n' "$stamp" >"$VENV/.stamp$1"
}
