#!/usr/bin/env bash
# The two versions mean different things by `price`, so each has its own view of the table: version v2's clients connect with
# `set search_path = public_v2, public`, which is what `crossfade connect v2 --access versioned` prints.
. "$(dirname "$0")/../lib.sh"
search_path_new=public_v2,public

title "Version v1, alone"
install v1
writes old "insert into items (name, price) values ('pen', 1.25), ('ink', 12), ('sample', 0)"

title "expand and migrate"
run v2 expand
run v2 migrate
reads old "select name, price from items order by id" "pen, 1.25
ink, 12.00
sample, 0.00"
reads new "select name, price from items order by id" "pen, 125
ink, 1200
sample, 0"

title "Both versions write"
writes old "insert into items (name, price) values ('paper', 3.10)"
writes new "insert into items (name, price) values ('stamp', 85)"
writes new "insert into items (name) values ('gift')"
writes old "update items set price = price * 2 where name = 'pen'"
writes new "update items set price = price + 1 where name = 'ink'"
reads old "select name, price from items order by id" "pen, 2.50
ink, 12.01
sample, 0.00
paper, 3.10
stamp, 0.85
gift, 0.00"
cents="pen, 250
ink, 1201
sample, 0
paper, 310
stamp, 85
gift, 0"
reads new "select name, price from items order by id" "$cents"
verifies v2

title "contract: the table itself is in cents, and version v2 goes on as it is"
run v2 contract
reads new "select name, price from items order by id" "$cents"
writes new "insert into items (name, price) values ('last', 99)"
reads table "select price from items where name = 'last'" "99"
