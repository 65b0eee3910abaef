do $crossfade$
begin
  if exists (select from pg_attribute where attrelid = to_regclass({{ table_literal }}) and attname = {{ column_literal }} and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ check_literal }}) then
    alter table {{ table }} add constraint {{ check }} check ({{ column }} is not null) not valid;
  end if;
end
$crossfade$;
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ check_literal }} and not convalidated) then
    alter table {{ table }} validate constraint {{ check }};
  end if;
end
$crossfade$;
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass({{ table_literal }}) and conname = {{ check_literal }}) then
    alter table {{ table }} alter column {{ column }} set not null;
    alter table {{ table }} drop constraint {{ check }};
  end if;
end
$crossfade$;
