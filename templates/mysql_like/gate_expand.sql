-- Nothing is changed unless the database is where this script starts from.
call crossfade_refuse(version() {% if mariadb %}not {% endif %}like '%MariaDB%', concat('this script is for {{ product }}, and this server is ', version()));
call crossfade_refuse(
  cast(substring_index(version(), '.', 1) as unsigned) * 10000
    + cast(substring_index(substring_index(version(), '.', 2), '.', -1) as unsigned) * 100
    + cast(substring_index(substring_index(substring_index(version(), '-', 1), '.', 3), '.', -1) as unsigned) < {{ oldest }},
  concat('crossfade needs {{ product }} {{ oldest_name }} or later, and this is ', version()));
{{ latest }}
call crossfade_refuse(@crossfade_latest = {{ release }} and @crossfade_phase = 'contract',
  concat({{ release }}, ' is contracted already: there is nothing to expand'));
call crossfade_refuse(
  @crossfade_latest <> {{ release }} and exists (select * from crossfade_revision where `release` = {{ release }} and phase <> 'aborted'),
  concat({{ release }}, ' is long done: this database is at version ', @crossfade_version));
call crossfade_refuse(
  @crossfade_latest <> {{ release }} and @crossfade_phase <> 'contract'
    and not (@crossfade_from is null and @crossfade_phase in ('expand', 'migrate')),  -- a first installation is all in expand
  concat('the upgrade to ', @crossfade_version, ' is not finished: run its contract.sql first (or its abort.sql, to go back)'));
{%- if old_version %}
call crossfade_refuse(@crossfade_latest <> {{ release }} and @crossfade_version <> {{ old_version }},
  concat('this script starts from version ', {{ old_version }}, ', and the database is at version ', @crossfade_version));
{%- else %}
call crossfade_refuse(@crossfade_latest <> {{ release }},
  concat('this script is a first installation, and the database is at version ', @crossfade_version));
{%- endif %}
{%- for table in tables %}
call crossfade_refuse(
  not exists (select * from information_schema.tables where table_schema = database() and table_name = {{ table }}),
  concat('there is no table ', {{ table }}, ': is ', database(), ' the right database?'));
{%- endfor %}
{%- if database_literal %}
call crossfade_refuse(database() <> {{ database_literal }},
  concat('this script is for database ', {{ database_literal }}, ', and this is ', database()));
{%- endif %}
{%- if triggers %}
-- If this fails with error 1419: set global log_bin_trust_function_creators = 1, or run the script with an account that has SUPER.
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
