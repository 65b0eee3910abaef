{%- if number -%}
with recursive parts (part) as (select 1 union all select part + 1 from parts where part < 400)
select cast(least(floor(ends.low + (ends.top - ends.low) * parts.part / 400), ends.top) as char) as part_1
from (select cast({% if number.low %}{{ number.low }}{% else %}(select min({{ cols }}) from {{ table }}){% endif %} as decimal(30)) as low,
             cast({{ number.top }} as decimal(30)) as top) as ends
cross join parts
where {{ percent }} > 0
order by parts.part
{%- else -%}
select {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if above %}{{ above }} and {% endif %}{{ up_to }} and rand() * 100 < {{ percent }}
      order by {{ cols }} limit 20000) as sampled
order by {{ cols }}
{%- endif %}
