do $crossfade$
begin
  -- A column that expand added is dropped whole.
  if exists (select from pg_attribute where attrelid = to_regclass({{ table_literal }}) and attname = {{ column_literal }} and attidentity = '' and not attisdropped) then
    alter table {{ table }} alter column {{ column }} drop not null;
  end if;
end
$crossfade$;
alter table {{ table }} drop constraint if exists {{ check }};
