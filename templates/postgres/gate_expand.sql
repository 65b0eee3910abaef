-- Nothing is changed unless the database is where this script starts from.
do $crossfade$
declare
  latest crossfade.revision;
{%- if tables %}
  partitioned text;
{%- endif %}
begin
  if current_setting('server_version_num')::integer < 150000 then
    raise exception 'crossfade needs PostgreSQL 15 or later, and this is %', current_setting('server_version');
  end if;
{%- if has_virtual %}
  if current_setting('server_version_num')::integer < 180000 then
    raise exception 'virtual generated columns need PostgreSQL 18 or later, and this is %', current_setting('server_version');
  end if;
{%- endif %}
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release = {{ release }} and latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to expand', {{ release }};
  end if;
  if latest.release <> {{ release }} and exists (select from crossfade.revision where release = {{ release }} and phase <> 'aborted') then
    raise exception '% is long done: this database is at version %', {{ release }}, latest.new_version;
  end if;
  if latest.release <> {{ release }} and latest.phase <> 'contract'
    and not (latest.old_version is null and latest.phase in ('expand', 'migrate')) then  -- a first installation is all in expand
    raise exception 'the upgrade to % is not finished', latest.new_version
      using hint = format('Run contract.sql of %s first (or abort.sql, to go back).', latest.new_version);
  end if;
{%- if old_version %}
  if latest.release <> {{ release }} and latest.new_version <> {{ old_version }} then
    raise exception 'this script starts from version %, and the database is at version %', {{ old_version }}, latest.new_version;
  end if;
{%- else %}
  if latest.release <> {{ release }} then
    raise exception 'this script is a first installation, and the database is at version %', latest.new_version;
  end if;
{%- endif %}
{%- for table in tables %}
  if to_regclass({{ table.literal }}) is null then
    raise exception 'there is no table {{ table.message }}: is this the right database?';
  end if;
{%- endfor %}
{%- if tables %}
  select string_agg(oid::regclass::text, ', ' order by oid::regclass::text) into partitioned
  from pg_class
  where relkind = 'p' and oid in ({% for table in tables %}{{ ", " if not loop.first }}to_regclass({{ table.literal }}){% endfor %});
  if partitioned is not null then
    raise exception 'partitioned: %; crossfade takes no partitioned table through an upgrade', partitioned
      using hint = 'Nothing was changed. Change these tables by hand, and in both snapshots.';
  end if;
{%- endif %}
{%- for type in types %}
  if to_regtype({{ type.literal }}) is null then
    raise exception 'there is no type {{ type.message }}'
      using hint = 'Types that are no enums (domains, composite types) are not part of a snapshot: make it by hand first, or name its extension under `extensions`.';
  end if;
{%- endfor %}
{%- if old_version %}
  if not exists (select from crossfade.revision) then
    insert into crossfade.revision (release, old_version, new_version, changes, phase)
    values ({{ old_release }}, null, {{ old_version }}, 0, 'contract');
  end if;
{%- endif %}
  insert into crossfade.revision (release, old_version, new_version, changes, phase)
  values ({{ release }}, {{ old_version or "null" }}, {{ new_version }}, {{ changes }}, 'begun')
  on conflict (release) do update  -- it was aborted once, and another upgrade may have come between
  set ordinal = default, old_version = excluded.old_version, new_version = excluded.new_version, changes = excluded.changes,
      phase = 'begun', begun_at = excluded.begun_at
  where revision.phase = 'aborted';
end
$crossfade$;
