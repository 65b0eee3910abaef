do $crossfade$
#variable_conflict use_column
{%- if sides %}
<<crossfade_job>>
{%- endif %}
declare
  found bigint;
  sample text;
{%- if sides %}
  line record;
  problem text;
{%- endif %}
begin
{%- if needed %}
  if not ({{ needed }}) then
    return;
  end if;
{%- endif %}
{%- if group %}
  select count(*), min(key) into found, sample
  from (select concat_ws(', ', {{ group }}) as key from {{ table }}{% if condition %} where {{ condition }}{% endif %} group by {{ group }} having count(*) > 1) as repeated;
{%- elif sides %}
  begin
    select count(*) into found from {{ table }} where {{ condition }};
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', {{ key }}) as key from {{ table }} loop
        problem := null;
{%- for side in sides %}
        begin
          continue when not exists (select from {{ table }} where ctid = crossfade_job.line.ctid and ({{ side }}));
        exception
          when others then
            problem := sqlerrm;
        end;
{%- endfor %}
        found := found + 1;
        if found <= 5 then
          sample := concat_ws('; ', crossfade_job.sample, crossfade_job.line.key || coalesce(': ' || problem, ''));
        end if;
      end loop;
  end;
{%- else %}
  select count(*) into found from {{ table }} where {{ condition }};
{%- endif %}
  if found > 0 then
{%- if sides %}
    if sample is null then
      select string_agg(key, '; ') into sample
      from (select concat_ws(', ', {{ key }}) as key from {{ table }} where {{ condition }} limit 5) as samples;
    end if;
{%- elif not group %}
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', {{ key }}) as key from {{ table }} where {{ condition }} limit 5) as samples;
{%- endif %}
    raise {{ level }} {{ message }}, found, sample
      using hint = {{ hint }};
  end if;
end
$crossfade$;
