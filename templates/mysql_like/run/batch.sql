{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }}
where {% if above %}{{ above }} and {% endif %}{{ up_to }}{% if copy.meant %}
  and ({{ copy.meant }}){% endif %}
order by {{ cols }}{% if not locks %}
lock in share mode{% endif %}
on duplicate key update {{ copy.target }}.{{ first }} = {{ copy.target }}.{{ first }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {% if above %}{{ above }} and {% endif %}{{ up_to }}
  and {{ unfilled }}
{%- endif %}
