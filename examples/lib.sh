# What the examples' run.sh share: a database of its own, the phases, and checks that stop the script.
#
# On PostgreSQL the connection comes from the environment, as for psql: PGHOST, PGPORT, PGUSER, PGPASSWORD. An example that has
# scripts for MySQL or MariaDB runs there with CROSSFADE_DIALECT=mysql (or mariadb); CLIENT is then the client with its options,
# by default `mysql` (or `mariadb`). The database is made and dropped here; KEEP=1 keeps it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[1]}")"

dialect=${CROSSFADE_DIALECT:-postgres}
database=crossfade_$(basename "$PWD" | tr - _)_$$
if [ "$dialect" = postgres ]; then
  export PGDATABASE=$database
  t=t f=f # how a boolean is shown
  versions=crossfade.version
else
  t=1 f=0
  versions=crossfade_version
fi

admin() { # admin SQL
  if [ "$dialect" = postgres ]; then
    psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "$1"
  else
    ${CLIENT:-$dialect} -e "$1"
  fi
}

script() { # script FILE: as anybody would run it
  if [ "$dialect" = postgres ]; then
    psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$1"
  else
    ${CLIENT:-$dialect} -N -B "$database" <"$1"
  fi
}

admin "create database $database"
finish() {
  local status=$?
  if [ "${KEEP:-}" = 1 ]; then
    echo "kept: database $database"
  elif [ "$dialect" = postgres ]; then
    admin "drop database $database with (force)"
  else
    admin "drop database $database"
  fi
  [ $status -eq 0 ] || echo "FAILED" >&2
}
trap finish EXIT

title() { # title TEXT
  printf '\n-- %s\n' "$1"
}

run() { # run VERSION SCRIPT: the compiled script
  script "migrations/$1/$dialect/$2.sql"
}

install() { # install VERSION: a first installation is three scripts like any other step
  run "$1" expand
  run "$1" migrate
  run "$1" contract
}

refuses() { # refuses VERSION SCRIPT WORDS: it runs out of turn, changes nothing, and says what to do
  local said
  if said=$(run "$1" "$2" 2>&1); then
    echo "$2 ran out of turn" >&2
    exit 1
  fi
  case $said in
    *"$3"*) printf '%-9s refused: %s\n' "$2" "$3" ;;
    *) printf '%s refused with other words than "%s":\n%s\n' "$2" "$3" "$said" >&2; exit 1 ;;
  esac
}

verifies() { # verifies VERSION: verify.sql counts no row on which the two shapes disagree
  local counts
  counts=$(run "$1" verify | tr '\t' '|')
  printf 'verify    %s\n' "$(tr '\n' ';' <<<"$counts")"
  if [ -z "$counts" ] || grep -qv '|0$' <<<"$counts"; then
    echo "the two shapes disagree" >&2
    exit 1
  fi
}

client() { # client WHO SQL: a client's connection; `search_path_WHO=…` says where it finds its version's shape
  if [ "$dialect" = postgres ]; then
    local path=search_path_$1
    PGOPTIONS="-c search_path=${!path:-public}" psql -X -q -A -t -F ', ' -P null=NULL -v ON_ERROR_STOP=1 -c "$2"
  else
    ${CLIENT:-$dialect} -N -B "$database" -e "$2" | sed 's/\t/, /g'
  fi
}

writes() { # writes WHO SQL
  printf '%-9s %s\n' "$1" "$2"
  client "$1" "$2" >/dev/null
}

reads() { # reads WHO SQL EXPECTED
  local got line
  got=$(client "$1" "$2")
  printf '%-9s %s\n' "$1" "$2"
  while IFS= read -r line; do printf '          = %s\n' "$line"; done <<<"$got"
  if [ "$got" != "$3" ]; then
    printf 'expected instead:\n%s\n' "$3" >&2
    exit 1
  fi
}
