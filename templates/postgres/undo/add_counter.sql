do $crossfade$
begin
  if exists (select from pg_attribute where attrelid = to_regclass({{ table_literal }}) and attname = {{ column_literal }} and attidentity = '' and not attisdropped) then
    alter table {{ table }} alter column {{ column }} drop default;
  end if;
end
$crossfade$;
drop sequence if exists {{ counter }};
