do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ name_literal }} and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table {{ table }} validate constraint {{ name }};
  end if;
end
$crossfade$;
