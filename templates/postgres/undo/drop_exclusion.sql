do $crossfade$
begin
  if not exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ name_literal }}) then
    alter table {{ table }} add constraint {{ name }} {{ definition }};
  end if;
end
$crossfade$;
