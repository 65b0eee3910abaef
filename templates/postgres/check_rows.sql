do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
{%- if needed %}
  if not ({{ needed }}) then
    return;
  end if;
{%- endif %}
{%- if group %}
  select count(*), min(key) into found, sample
  from (select concat_ws(', ', {{ group }}) as key from {{ table }}{% if condition %} where {{ condition }}{% endif %} group by {{ group }} having count(*) > 1) as repeated;
{%- else %}
  select count(*) into found from {{ table }} where {{ condition }};
{%- endif %}
  if found > 0 then
{%- if not group %}
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', {{ key }}) as key from {{ table }} where {{ condition }} limit 5) as samples;
{%- endif %}
    raise {{ level }} {{ message }}, found, sample
      using hint = {{ hint }};
  end if;
end
$crossfade$;
