{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }}
where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}{% if copy.meant %}
  and ({{ copy.meant }}){% endif %}
order by {{ cols }}
for share
on conflict ({{ copy.key }}) do nothing
{%- else -%}
update {{ table }}
set {{ sets }}
where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
  and {{ unfilled }}
{%- endif %}
