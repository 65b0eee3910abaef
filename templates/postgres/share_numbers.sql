create or replace function {{ function }}() returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $crossfade$
  select nextval(pg_get_serial_sequence({{ table_literal }}, {{ column_literal }}))
$crossfade$;
