create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'references lead nowhere that led somewhere before; nothing was changed')
  from crossfade_orphans
  where before < (
    select count(*)
    from (select name from sqlite_schema as s
          where type = 'table'
            and (name collate nocase in ({{ tables }})
                 or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ({{ tables }})))) as t,
         pragma_foreign_key_check(t.name));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
drop table crossfade_orphans;
