-- How many references of the tables that are written anew lead nowhere, before and afterwards: there must not be more.
create temp table crossfade_orphans as
  select count(*) as before
  from (select name from sqlite_schema as s
        where type = 'table'
          and (name collate nocase in ({{ tables }})
               or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ({{ tables }})))) as t,
       pragma_foreign_key_check(t.name);
