#!/usr/bin/env bash
. "$(dirname "$0")/../lib.sh"

application() { # application EXPECTED ARGUMENT…
  local expected=$1 got
  shift
  got=$(./application.sh "$@")
  printf 'application.sh %s\n' "$*"
  while IFS= read -r line; do [ -z "$line" ] || printf '          = %s\n' "$line"; done <<<"$got"
  if [ "$got" != "$expected" ]; then
    printf 'expected instead:\n%s\n' "$expected" >&2
    exit 1
  fi
}

title "Sprint 122"
install sprint_122
application sprint_122 binding
application 1 order ada@x 12.50
application 2 order bob@x 3

title "expand and migrate; the application goes over by itself"
run sprint_123 expand
application sprint_122 binding
application 3 order ada@x 0.99
application "" pay 1
run sprint_123 migrate
application sprint_123 binding
application "1, ada@x, 12.50, paid
2, bob@x, 3.00, new
3, ada@x, 0.99, new" list
application 4 order Cyd@X 7
application "" pay 2

title "A client that still uses sprint 122 sees the same orders"
reads old "select id, amount, state from orders order by id" "1, 12.50, 1
2, 3.00, 1
3, 0.99, 0
4, 7.00, 0"
writes old "update orders set state = 2 where id = 1"
writes old "update orders set amount = 3.50 where id = 2"
reads new "select id, amount_cents, status from orders order by id" "1, 1250, shipped
2, 350, paid
3, 99, new
4, 700, new"
reads new "select email_lower, newsletter from customers order by id" "ada@x, f
bob@x, f
cyd@x, f"
verifies sprint_123

title "contract: only sprint 123 is left"
run sprint_123 contract
application sprint_123 binding
application "" pay 4
application "1, ada@x, 12.50, shipped
2, bob@x, 3.50, paid
3, ada@x, 0.99, new
4, cyd@x, 7.00, paid" list
