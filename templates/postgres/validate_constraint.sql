do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ name_literal }} and not convalidated) then
    alter table {{ table }} validate constraint {{ name }};
  end if;
end
$crossfade$;
