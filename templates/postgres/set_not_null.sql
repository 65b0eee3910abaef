do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ check_literal }}) then
    alter table {{ table }} alter column {{ column }} set not null;
    alter table {{ table }} drop constraint {{ check }};
  end if;
end
$crossfade$;
