#!/usr/bin/env bash
# An application that works with the schema of sprint 122 and with that of sprint 123: it asks the database which one to use.
#
#   application.sh binding                which one it would use now
#   application.sh order EMAIL AMOUNT     places an order and makes the customer known, prints the order's number
#   application.sh pay NUMBER
#   application.sh list                   number, customer, amount and state of every order
set -euo pipefail

query() { # query SQL NAME=VALUE…: the values as psql variables, which are quoted where the SQL says :'name'
  local sql=$1 variables=() pair
  shift
  for pair in "$@"; do variables+=(-v "$pair"); done
  psql -X -q -A -t -F ', ' -v ON_ERROR_STOP=1 "${variables[@]}" <<<"$sql"
}

# The new shape is promised from the end of migrate on, the old one until contract begins.
binding() {
  query "select case when phase in ('migrate', 'contract') then new_version else old_version end from crossfade.version"
}

order_sprint_122() {
  query "insert into customers (email) values (:'email') on conflict (email) do nothing" email="$1"
  query "insert into orders (customer_id, amount) select id, :'amount' from customers where email = :'email' returning id" \
    email="$1" amount="$2"
}
pay_sprint_122() { query "update orders set state = 1 where id = :'number' and state = 0" number="$1"; }
list_sprint_122() {
  query "select o.id, c.email, o.amount, case o.state when 0 then 'new' when 1 then 'paid' when 2 then 'shipped' end
         from orders o join customers c on c.id = o.customer_id order by o.id"
}

order_sprint_123() {
  query "insert into customers (email, email_lower) values (:'email', lower(:'email')) on conflict (email) do nothing" email="$1"
  query "insert into orders (customer_id, amount, amount_cents, status)
         select id, :'amount', round(:'amount'::numeric * 100), 'new' from customers where email_lower = lower(:'email')
         returning id" email="$1" amount="$2"
}
pay_sprint_123() { query "update orders set status = 'paid' where id = :'number' and status = 'new'" number="$1"; }
list_sprint_123() {
  query "select o.id, c.email_lower, (o.amount_cents / 100.0)::numeric(12,2), o.status
         from orders o join customers c on c.id = o.customer_id order by o.id"
}

command=$1
shift
case $command in
  binding) binding ;;
  order | pay | list) "${command}_$(binding)" "$@" ;;
  *) echo "unknown command: $command" >&2; exit 2 ;;
esac
