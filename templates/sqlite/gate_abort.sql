-- Nothing is changed once contract has run: from there on there is only forward.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
{%- include "sqlite/library" %}
  select raise(rollback, '{{ release_text }} can''t be aborted any more: its contract is done')
  from crossfade_revision where release = {{ release }} and phase = 'contract';
  select raise(rollback, 'abort of {{ release_text }} is done, and nothing was changed now: expand.sql begins it anew')
  from crossfade_revision where release = {{ release }} and phase = 'aborted';
  select raise(rollback, 'there is nothing to abort: expand of {{ release_text }} has never run here')
  where not exists (select 1 from crossfade_revision where release = {{ release }});
  select raise(rollback, '{{ release_text }} is long past: see crossfade_version')
  from crossfade_latest where release <> {{ release }};
{%- include "sqlite/strangers" %}
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
