-- Nothing is changed unless expand has finished.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
{%- include "sqlite/library" %}
  select raise(rollback, 'migrate of {{ release_text }} can''t run before its expand has finished: run expand.sql first')
  where not exists (select 1 from crossfade_latest where release = {{ release }} and phase <> 'begun');
  select raise(rollback, 'migrate of {{ release_text }} is done, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where phase = 'migrate';
  select raise(rollback, '{{ release_text }} is contracted already: there is nothing to migrate')
  from crossfade_latest where phase = 'contract';
{%- include "sqlite/strangers" %}
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
