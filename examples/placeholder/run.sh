#!/usr/bin/env bash
. "$(dirname "$0")/../lib.sh"
nicknames="select email, nickname from users order by id"

title "Version v1, alone: nobody has a nickname"
install v1
writes old "insert into users (email) values ('ada@x'), ('bob@x')"

title "expand and migrate: whoever has no nickname gets the placeholder"
run v2 expand
writes old "insert into users (email) values ('cyd@x')"
run v2 migrate
reads new "$nicknames" "ada@x, PROMPT_USER
bob@x, PROMPT_USER
cyd@x, PROMPT_USER"

title "Version v2 asks; version v1 knows of nothing"
writes new "update users set nickname = 'countess' where email = 'ada@x' and nickname = 'PROMPT_USER'"
writes new "insert into users (email, nickname) values ('dot@x', 'dot')"
writes old "insert into users (email) values ('eve@x')"
writes old "update users set email = 'ada@y' where email = 'ada@x'"
answered="ada@y, countess
bob@x, PROMPT_USER
cyd@x, PROMPT_USER
dot@x, dot
eve@x, PROMPT_USER"
reads new "$nicknames" "$answered"
verifies v2

title "contract: the column is NOT NULL, and nothing fills it any more"
run v2 contract
reads new "$nicknames" "$answered"
if client new "insert into users (email) values ('fay@x')" 2>/dev/null; then
  echo "a user without a nickname was let in" >&2
  exit 1
fi
