#!/usr/bin/env bash
. "$(dirname "$0")/../lib.sh"

title "Version newton, alone"
install newton
writes old "insert into images (id, status, is_public) values
            ('public', 'active', true), ('alone', 'active', false), ('members', 'active', false), ('left', 'active', false),
            ('both', 'active', true)"
writes old "insert into image_members (image_id, member, deleted) values
            ('members', 'ada', false), ('left', 'ada', true), ('both', 'ada', false)"

title "expand, and writes of both versions before the backfill"
run ocata expand
writes old "insert into images (id, status, is_public) values ('old true', 'active', true), ('old false', 'active', false)"
writes old "insert into images (id, status) values ('old default', 'active')"
writes new "insert into images (id, status, visibility) values
            ('new community', 'active', 'community'), ('new private', 'active', 'private'),
            ('new shared', 'active', 'shared'), ('new public', 'active', 'public')"
# A column that no lens knows is written on a row that is not filled yet: it stays so.
writes old "update images set name = 'a name' where id = 'alone'"
reads new "select id, visibility from images where id in ('alone', 'members', 'public') order by id" "alone, NULL
members, NULL
public, NULL"

title "migrate: what nobody wrote is filled, what the new version wrote is left alone"
run ocata migrate
shapes="select id, is_public, visibility from images order by id"
filled="alone, $f, private
both, $t, public
left, $f, private
members, $f, shared
new community, $f, community
new private, $f, private
new public, $t, public
new shared, $f, shared
old default, $f, shared
old false, $f, shared
old true, $t, public
public, $t, public"
reads new "$shapes" "$filled"
run ocata migrate
reads new "$shapes" "$filled"

title "An old client writes back what it read: community stays"
writes old "update images set is_public = is_public, name = 'touched' where id = 'new community'"
writes old "update images set is_public = false where id in ('alone', 'new community')"
reads new "select id, visibility from images where id in ('alone', 'new community') order by id" "alone, private
new community, community"

title "Each version changes it, the other one follows"
writes old "update images set is_public = true where id = 'new private'"
writes new "update images set visibility = 'community' where id = 'public'"
writes new "update images set visibility = 'public' where id = 'alone'"
writes old "update images set is_public = false where id = 'old true'"
reads old "select id, is_public from images where id in ('alone', 'new private', 'old true', 'public') order by id" "alone, $t
new private, $t
old true, $f
public, $f"
reads new "select id, visibility from images where id in ('alone', 'new private', 'old true', 'public') order by id" "alone, public
new private, public
old true, shared
public, community"
verifies ocata

title "contract"
before=$(client new "select id, visibility from images order by id")
run ocata contract
reads new "select id, visibility from images order by id" "$before"
writes new "insert into images (id, status) values ('after', 'active')"
reads new "select visibility from images where id = 'after'" "shared"
