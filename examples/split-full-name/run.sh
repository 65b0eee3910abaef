#!/usr/bin/env bash
. "$(dirname "$0")/../lib.sh"
names_old="select id, full_name from users order by id"
names_new="select id, first_name, last_name from users order by id"

title "Version ocata, alone: one word, two, three, NULL"
install ocata
writes old "insert into users (full_name, email) values ('Prince', 'p@x'), ('Ada Lovelace', 'a@x'), ('Ludwig van Beethoven', 'l@x'), (null, 'n@x')"

title "expand, back again with abort, and expand once more"
refuses pike migrate "un expand.sql first"
run pike expand
run pike abort
run pike expand
reads old "$names_old" "1, Prince
2, Ada Lovelace
3, Ludwig van Beethoven
4, NULL"

title "migrate: from here on version pike may start"
refuses pike contract "un migrate.sql first"
run pike migrate
reads new "$names_new" "1, Prince, NULL
2, Ada, Lovelace
3, Ludwig, van Beethoven
4, NULL, NULL"

title "Both versions write, and each reads what the other wrote"
writes old "insert into users (full_name, email) values ('Grace Brewster Hopper', 'g@x')"
writes new "insert into users (first_name, last_name, email) values ('Mary Ann', 'Evans', 'm@x')"
writes new "insert into users (first_name, email) values ('Cher', 'c@x')"
writes old "update users set full_name = 'Prince Rogers Nelson' where id = 1"
writes new "update users set last_name = 'King' where id = 2"
writes new "update users set first_name = 'Nobody' where id = 4"
writes old "update users set full_name = null where id = 3"
# An old client that writes back what it read changes nothing: `Mary Ann` stays the first name.
writes old "update users set full_name = full_name, email = 'me@x' where full_name = 'Mary Ann Evans'"
reads old "$names_old" "1, Prince Rogers Nelson
2, Ada King
3, NULL
4, Nobody
5, Grace Brewster Hopper
6, Mary Ann Evans
7, Cher"
after="1, Prince, Rogers Nelson
2, Ada, King
3, NULL, NULL
4, Nobody, NULL
5, Grace, Brewster Hopper
6, Mary Ann, Evans
7, Cher, NULL"
reads new "$names_new" "$after"
verifies pike

title "contract: only version pike is left"
run pike contract
reads new "$names_new" "$after"
reads new "select old_version, new_version, phase, revision from $versions" "ocata, pike, contract, pike_contract01"
