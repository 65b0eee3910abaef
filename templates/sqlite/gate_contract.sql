-- Nothing is changed unless migrate has finished.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
{%- include "sqlite/library" %}
  select raise(rollback, 'contract of {{ release_text }} can''t run before its migrate has finished: run expand.sql first, then migrate.sql')
  where not exists (select 1 from crossfade_latest where release = {{ release }} and phase <> 'begun');
  select raise(rollback, 'contract of {{ release_text }} can''t run before its migrate has finished: run migrate.sql first')
  from crossfade_latest where phase = 'expand';
  select raise(rollback, 'contract of {{ release_text }} is done, and nothing was changed now: the upgrade is through, nothing comes next')
  from crossfade_latest where phase = 'contract';
  select raise(rollback, 'contract of {{ release_text }} can''t run while crossfade_failing_row holds rows that could not be filled')
  where exists (select 1 from crossfade_failing_row where release = {{ release }});
{%- include "sqlite/strangers" %}
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
