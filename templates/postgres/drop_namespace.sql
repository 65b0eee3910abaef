do $crossfade$
begin
  if to_regnamespace({{ schema_literal }}) is not null then
{%- for chunk in views %}
    drop view if exists {{ chunk }};
{%- endfor %}
    drop schema {{ schema }};
  end if;
end
$crossfade$;
