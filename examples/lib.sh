# What the examples' run.sh share: a database of its own, the phases, and checks that stop the script.
#
# The connection comes from the environment, as for psql: PGHOST, PGPORT, PGUSER, PGPASSWORD. The database is made and
# dropped here; KEEP=1 keeps it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[1]}")"

PGDATABASE=crossfade_$(basename "$PWD" | tr - _)_$$
psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "create database $PGDATABASE"
finish() {
  local status=$?
  if [ "${KEEP:-}" = 1 ]; then
    echo "kept: database $PGDATABASE"
  else
    psql -X -q -d postgres -c "drop database $PGDATABASE with (force)"
  fi
  [ $status -eq 0 ] || echo "FAILED" >&2
}
trap finish EXIT
export PGDATABASE

title() { # title TEXT
  printf '\n-- %s\n' "$1"
}

run() { # run VERSION SCRIPT: the compiled script, as anybody would run it
  psql -X -q -v ON_ERROR_STOP=1 -f "migrations/$1/postgres/$2.sql"
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
  counts=$(psql -X -q -A -t -v ON_ERROR_STOP=1 -f "migrations/$1/postgres/verify.sql")
  printf 'verify    %s\n' "$(tr '\n' ';' <<<"$counts")"
  if [ -z "$counts" ] || grep -qv '|0$' <<<"$counts"; then
    echo "the two shapes disagree" >&2
    exit 1
  fi
}

client() { # client WHO SQL: a client's connection; `search_path_WHO=…` says where it finds its version's shape
  local path=search_path_$1
  PGOPTIONS="-c search_path=${!path:-public}" psql -X -q -A -t -F ', ' -P null=NULL -v ON_ERROR_STOP=1 -c "$2"
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
