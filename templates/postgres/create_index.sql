-- What an interrupted build left behind is invalid and goes first.
do $crossfade$
begin
  if exists (select from pg_index where indexrelid = to_regclass({{ name_literal }}) and not indisvalid) then
    drop index {{ qualified }};
  end if;
end
$crossfade$;
set lock_timeout = 0;  -- it waits for older snapshots and holds nobody up; a timeout would leave an invalid index
{{ statement }};
set lock_timeout = '300ms';
{%- if comment %}
comment on index {{ qualified }} is {{ comment }};
{%- endif %}
