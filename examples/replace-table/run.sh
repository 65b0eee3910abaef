#!/usr/bin/env bash
# Two services use one table. Version v1 calls it `old`, with `a` and an integer `b`; version v2 calls it `new`, with `x` and
# a text `y`. They are upgraded one after the other, and neither ever stops.
. "$(dirname "$0")/../lib.sh"
v1="select id, a, b from old order by id"
v2="select id, x, y from new order by id"

title "1. Both services run version v1"
install v1
writes A "insert into old (a, b) values ('from A on v1', 1)"
writes B "insert into old (a, b) values ('from B on v1', 2), ('without b', null)"
reads A "$v1" "1, from A on v1, 1
2, from B on v1, 2
3, without b, NULL"

title "2. expand: neither service notices"
run v2 expand
writes A "insert into old (a, b) values ('A after expand', 4)"
writes B "update old set b = 20 where id = 2"
reads B "$v1" "1, from A on v1, 1
2, from B on v1, 20
3, without b, NULL
4, A after expand, 4"

title "3. Service A goes to version v2; B stays on v1"
# What is written from now on is whole on both sides. Rows that nobody has written since expand have no y before migrate.
writes A "insert into new (x, y) values ('A on v2', '5'), ('no number', 'n/a')"
writes A "update new set x = 'changed by A' where id = 1"
writes B "insert into old (a, b) values ('B still on v1', 7)"
x2="from B on v1" x3="without b"
# On MySQL and MariaDB x is a column of its own until contract, too.
[ "$dialect" = postgres ] || x2=NULL x3=NULL
reads A "$v2" "1, changed by A, NULL
2, $x2, 20
3, $x3, NULL
4, A after expand, 4
5, A on v2, 5
6, no number, n/a
7, B still on v1, 7"
reads B "$v1" "1, changed by A, 1
2, from B on v1, 20
3, without b, NULL
4, A after expand, 4
5, A on v2, 5
6, no number, NULL
7, B still on v1, 7"

title "4. migrate: the rows from before expand are filled"
refuses v2 contract "un migrate.sql first"
run v2 migrate
verifies v2
reads A "select id, x, y from new where id in (1, 3, 6) order by id" "1, changed by A, 1
3, without b, NULL
6, no number, n/a"
# B writes back what it read: what only version v2 can say is not lost.
writes B "update old set a = 'still no number', b = b where id = 6"
writes A "update new set y = '70' where id = 7"
reads A "select y from new where id = 6" "n/a"
reads B "select b from old where id = 7" "70"

title "5. Service B goes to version v2: nobody is left on v1"
writes B "insert into new (x, y) values ('B on v2', '8')"
writes A "delete from new where id = 2"
reads B "$v2" "1, changed by A, 1
3, without b, NULL
4, A after expand, 4
5, A on v2, 5
6, still no number, n/a
7, B still on v1, 70
8, B on v2, 8"

title "6. contract: the table is called new, and old is gone"
run v2 contract
writes A "insert into new (x, y) values ('the end', 'z')"
reads B "$v2" "1, changed by A, 1
3, without b, NULL
4, A after expand, 4
5, A on v2, 5
6, still no number, n/a
7, B still on v1, 70
8, B on v2, 8
9, the end, z"
reads A "select table_name, table_type from information_schema.tables where table_name in ('old', 'new') and
         table_schema not in ('information_schema', 'pg_catalog') and table_schema in ('public', '$database')" "new, BASE TABLE"
