do $crossfade$
begin
  if to_regtype({{ name_literal }}) is null then
    create type {{ name }} as enum ({{ labels }});
  end if;
end
$crossfade$;
{%- if comment %}
comment on type {{ name }} is {{ comment }};
{%- endif %}
