-- Nothing is changed unless the database is where this script starts from.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
{%- include "sqlite/library" %}
  select raise(rollback, '{{ release_text }} is contracted already: there is nothing to expand')
  from crossfade_latest where release = {{ release }} and phase = 'contract';
  select raise(rollback, 'expand of {{ release_text }} is done, and nothing was changed now: run migrate.sql next, or abort.sql to go back')
  from crossfade_latest where release = {{ release }} and phase = 'expand';
  select raise(rollback, 'expand of {{ release_text }} is done and so is its migrate, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where release = {{ release }} and phase = 'migrate';
  select raise(rollback, '{{ release_text }} is long done: see crossfade_version')
  from crossfade_latest
  where release <> {{ release }} and exists (select 1 from crossfade_revision where release = {{ release }} and phase <> 'aborted');
  select raise(rollback, 'the upgrade before this one is not finished: run its contract.sql first, or its abort.sql to go back')
  from crossfade_latest
  where release <> {{ release }} and phase <> 'contract'
    and not (old_version is null and phase in ('expand', 'migrate'));  -- a first installation is all in expand
{%- if old_version %}
  select raise(rollback, 'this script starts from version {{ old_text }}, and the database is at another one: see crossfade_version')
  from crossfade_latest where release <> {{ release }} and new_version <> {{ old_version }};
{%- else %}
  select raise(rollback, 'this script is a first installation, and the database has a version: see crossfade_version')
  from crossfade_latest where release <> {{ release }};
{%- endif %}
{%- for table in tables %}
  select raise(rollback, 'there is no table {{ table.message }}: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = {{ table.literal }} collate nocase);
{%- endfor %}
{%- for table in synced %}
  select raise(rollback, 'table {{ table.message }} is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = {{ table.literal }} collate nocase and wr);
{%- endfor %}
{%- include "sqlite/strangers" %}
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
{%- if old_version %}
insert into crossfade_revision (release, old_version, new_version, changes, phase)
select {{ old_release }}, null, {{ old_version }}, 0, 'contract'
where not exists (select 1 from crossfade_revision);
{%- endif %}
delete from crossfade_revision where release = {{ release }} and phase = 'aborted';  -- another upgrade may have come between
insert into crossfade_revision (release, old_version, new_version, changes, phase)
values ({{ release }}, {{ old_version or "null" }}, {{ new_version }}, {{ changes }}, 'begun');
