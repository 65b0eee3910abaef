-- Nothing is changed unless the database is where this script starts from.
insert into crossfade_gate select concat('this script is for {{ product }}, and this server is ', version())
  from dual where version() {% if mariadb %}not {% endif %}like '%MariaDB%';
insert into crossfade_gate select concat('crossfade needs {{ product }} {{ oldest_name }} or later, and this is ', version())
  from dual where cast(substring_index(version(), '.', 1) as unsigned) * 10000
    + cast(substring_index(substring_index(version(), '.', 2), '.', -1) as unsigned) * 100
    + cast(substring_index(substring_index(substring_index(version(), '-', 1), '.', 3), '.', -1) as unsigned) < {{ oldest }};
{{ latest }}
insert into crossfade_gate select concat({{ release }}, ' is contracted already: there is nothing to expand')
  from dual where @crossfade_latest = {{ release }} and @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', {{ release }}, ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = {{ release }} and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = {{ release }} and step like 'contract%');
insert into crossfade_gate select concat({{ release }}, ' is long done: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> {{ release }} and exists (select * from crossfade_revision where `release` = {{ release }} and phase <> 'aborted');
insert into crossfade_gate select -- a first installation is all in expand
  concat('the upgrade to ', @crossfade_version, ' is not finished: run its contract.sql first (or its abort.sql, to go back)')
  from dual where @crossfade_latest <> {{ release }} and @crossfade_phase <> 'contract'
    and not (@crossfade_from is null and @crossfade_phase in ('expand', 'migrate'));
{%- if old_version %}
insert into crossfade_gate select concat('this script starts from version ', {{ old_version }}, ', and the database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> {{ release }} and @crossfade_version <> {{ old_version }};
{%- else %}
insert into crossfade_gate select concat('this script is a first installation, and the database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> {{ release }};
{%- endif %}
{%- for table in tables %}
insert into crossfade_gate select concat('there is no table ', {{ table }}, ': is ', database(), ' the right database?')
  from dual where not exists (select * from information_schema.tables where table_schema = database() and table_name = {{ table }});
{%- endfor %}
{%- if database_literal %}
insert into crossfade_gate select concat('this script is for database ', {{ database_literal }}, ', and this is ', database())
  from dual where database() <> {{ database_literal }};
{%- endif %}
{%- if triggers %}
-- If this fails with error 1142, the account lacks the privilege TRIGGER.
create trigger if not exists crossfade_may_make_triggers before insert on crossfade_failing_row
  for each row set new.error = new.error;
drop trigger crossfade_may_make_triggers;
{%- endif %}
{% if old_version %}
insert into crossfade_revision (`release`, old_version, new_version, changes, phase)
  select {{ old_release }}, null, {{ old_version }}, 0, 'contract' from dual where not exists (select * from crossfade_revision);
{%- endif %}
-- It may have been aborted once, and another upgrade may have come between: it begins anew, as the latest.
start transaction;
delete from crossfade_revision where `release` = {{ release }} and phase = 'aborted';
insert ignore into crossfade_revision (`release`, old_version, new_version, changes, phase)
  values ({{ release }}, {{ old_version or "null" }}, {{ new_version }}, {{ changes }}, 'begun');
commit;
